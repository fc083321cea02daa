from __future__ import annotations

import hashlib
import os
import shutil
import subprocess

import pytest

from labelstream.errors import Misconfigured, Rejected
from labelstream.protection.legacy import cipher, derived, open_legacy, seal_legacy, split_legacy

# Key string, plain bytes, IV ‖ ciphertext. Computed by OpenSSL 3.0, which knows nothing of us; the first one by
# `printf weights | openssl enc -aes-256-cbc -K K -iv 000102030405060708090a0b0c0d0e0f | xxd -p`, where K is what
# `printf secret | sha256sum` prints.
VECTORS = [
    ("secret", b"weights", "000102030405060708090a0b0c0d0e0ffdd2a7851255670831c515b068677019"),
    (
        "clé",
        b"sixteen bytes 16",
        "ffeeddccbbaa9988776655443322110093cb5a16c1505faa2950dd3649d9f7cdd372bafe7ddaca0608afe652e5d5b64b",
    ),
    ("k", b"", "101112131415161718191a1b1c1d1e1fa5f0caa17cea11786ccbfefb00c3245f"),
]


# NIST SP 800-38A, F.2.5 CBC-AES256.Encrypt
NIST_KEY = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
NIST_IV = bytes(range(16))
NIST_PLAIN = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
NIST_CIPHERTEXT = (
    "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
    "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b"
)


def test_the_cipher_is_that_of_the_standard():
    assert cipher(NIST_KEY, NIST_IV).encryptor().update(NIST_PLAIN).hex() == NIST_CIPHERTEXT
    assert cipher(NIST_KEY, NIST_IV).decryptor().update(bytes.fromhex(NIST_CIPHERTEXT)) == NIST_PLAIN


def test_a_key_string_stands_for_its_sha256():
    # FIPS 180-2, B.1: the digest of "abc"
    assert derived("abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert derived("clé") == hashlib.sha256(b"cl\xc3\xa9").digest()


@pytest.mark.parametrize(("length", "padding"), [(0, 16), (1, 15), (15, 1), (16, 16), (17, 15), (32, 16)])
def test_the_padding_is_pkcs7_and_the_iv_stands_in_front(length: int, padding: int):
    protected = seal_legacy(b"w" * length, "k", iv=NIST_IV)
    padded = cipher(derived("k"), NIST_IV).decryptor().update(protected[16:])
    assert protected[:16] == NIST_IV
    assert padded == b"w" * length + bytes([padding]) * padding


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


@pytest.mark.parametrize(
    ("size", "small"),
    [
        (0, 0),
        (4, 0),
        (5, 1),
        (7, 1),
        (100, 20),
        (10_000, 2_000),
        (15_359, 3_071),
        (15_360, 3_072),
        (15_361, 3_072),
        (1_000_000, 3_072),
    ],
)
def test_the_small_part_is_three_kilobytes_or_a_fifth(size: int, small: int):
    protected = os.urandom(size)
    parts = split_legacy(protected)
    assert len(parts.small) == small
    assert parts.small + parts.big == protected
