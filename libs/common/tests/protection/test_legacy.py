from __future__ import annotations

import hashlib
import os
import shutil
import subprocess

import pytest

from labelstream.errors import Misconfigured, Rejected
from labelstream.protection.legacy import open_legacy, seal_legacy, split_legacy

# Made with: openssl enc -aes-256-cbc -K <SHA-256 of the key string> -iv <IV>
VECTORS = [
    ("secret", b"weights", "000102030405060708090a0b0c0d0e0ffdd2a7851255670831c515b068677019"),
    (
        "clé",
        b"sixteen bytes 16",
        "ffeeddccbbaa9988776655443322110093cb5a16c1505faa2950dd3649d9f7cdd372bafe7ddaca0608afe652e5d5b64b",
    ),
    ("k", b"", "101112131415161718191a1b1c1d1e1fa5f0caa17cea11786ccbfefb00c3245f"),
]


def openssl(direction: str, data: bytes, key: str, iv: bytes) -> bytes:
    digest = hashlib.sha256(key.encode()).hexdigest()
    command = ["openssl", "enc", direction, "-aes-256-cbc", "-K", digest, "-iv", iv.hex()]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")


@pytest.mark.parametrize(("key", "plain", "protected"), VECTORS)
def test_known_files_open(key: str, plain: bytes, protected: str):
    assert open_legacy(bytes.fromhex(protected), key) == plain


@pytest.mark.parametrize(("key", "plain", "protected"), VECTORS)
def test_known_files_are_written_byte_for_byte(key: str, plain: bytes, protected: str):
    assert seal_legacy(plain, key, iv=bytes.fromhex(protected)[:16]).hex() == protected


@needs_openssl
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 5_000])
def test_the_openssl_command_reads_ours_and_we_read_its(size: int):
    plain, iv = os.urandom(size), os.urandom(16)
    ours = seal_legacy(plain, "clé-☃")
    assert openssl("-d", ours[16:], "clé-☃", ours[:16]) == plain
    assert open_legacy(iv + openssl("-e", plain, "clé-☃", iv), "clé-☃") == plain


def test_the_same_file_is_never_protected_twice_alike():
    assert seal_legacy(b"weights", "k") != seal_legacy(b"weights", "k")


@pytest.mark.parametrize("cut", [0, 15, 16, 31, 33])
def test_a_cut_off_file_is_refused(cut: int):
    with pytest.raises(Rejected, match=r"legacy\.truncated"):
        open_legacy(seal_legacy(b"weights" * 10, "k")[:cut], "k")


def test_a_wrong_key_is_refused_when_the_padding_shows_it():
    protected = bytes(16) + bytes.fromhex("00" * 16)
    with pytest.raises(Rejected, match=r"legacy\.wrong_key"):
        open_legacy(protected, "k")


def test_there_is_no_default_key():
    with pytest.raises(Misconfigured, match="no default"):
        seal_legacy(b"weights", "")
    with pytest.raises(Misconfigured, match="no default"):
        open_legacy(bytes(32), "")


@pytest.mark.parametrize(("size", "small"), [(100, 20), (10_000, 2_000), (15_360, 3_072), (1_000_000, 3_072), (7, 1)])
def test_the_small_part_is_three_kilobytes_or_a_fifth(size: int, small: int):
    protected = os.urandom(size)
    parts = split_legacy(protected)
    assert len(parts.small) == small
    assert parts.small + parts.big == protected
