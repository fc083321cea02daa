from __future__ import annotations

import io
import os
import shutil
import subprocess
import tracemalloc
from pathlib import Path

import pytest

from labelstream.errors import Rejected
from labelstream.protection.sealing import (
    NotForUs,
    Tampered,
    new_identity,
    open_sealed,
    open_stream,
    recipient_of,
    seal,
    seal_stream,
)

PLAIN = os.urandom(200_000)  # four chunks


def test_each_recipient_opens_what_was_sealed_and_nobody_else():
    pairs = [new_identity() for _ in range(3)]
    sealed = seal(PLAIN, [recipient for _, recipient in pairs[:2]])
    assert [open_sealed(sealed, identity) == PLAIN for identity, _ in pairs[:2]] == [True, True]
    with pytest.raises(NotForUs, match=r"seal\.wrong_key"):
        open_sealed(sealed, pairs[2][0])


def test_an_empty_file_can_be_sealed():
    identity, recipient = new_identity()
    assert open_sealed(seal(b"", [recipient]), identity) == b""


def test_every_flipped_byte_is_noticed():
    identity, recipient = new_identity()
    sealed = seal(b"short", [recipient])
    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises((NotForUs, Tampered)):
            open_sealed(changed, identity)


def test_every_truncation_is_damage_not_a_wrong_key():
    identity, recipient = new_identity()
    sealed = seal(b"short", [recipient])
    for length in range(len(sealed)):
        with pytest.raises(Tampered, match=r"seal\.damaged"):
            open_sealed(sealed[:length], identity)


@pytest.mark.parametrize("kept", [65_536 + 400, 131_072 + 464, len(PLAIN)])
def test_a_long_file_without_its_end_does_not_open(kept: int):
    identity, recipient = new_identity()
    with pytest.raises(Tampered):
        open_sealed(seal(PLAIN, [recipient])[:kept], identity)


def test_what_is_added_behind_the_end_is_noticed():
    identity, recipient = new_identity()
    with pytest.raises(Tampered):
        open_sealed(seal(PLAIN, [recipient]) + b"x", identity)


def test_streams_are_sealed_and_opened_like_bytes():
    identity, recipient = new_identity()
    sealed, plain = io.BytesIO(), io.BytesIO()
    seal_stream(io.BytesIO(PLAIN), sealed, [recipient])
    open_stream(io.BytesIO(sealed.getvalue()), plain, identity)
    assert plain.getvalue() == open_sealed(sealed.getvalue(), identity) == PLAIN


def test_a_stream_takes_constant_memory(tmp_path: Path):
    identity, recipient = new_identity()
    with (tmp_path / "plain").open("wb") as file:
        file.truncate(32 << 20)
    tracemalloc.start()
    with (tmp_path / "plain").open("rb") as plain, (tmp_path / "sealed").open("wb") as sealed:
        seal_stream(plain, sealed, [recipient])
    with (tmp_path / "sealed").open("rb") as sealed, (tmp_path / "again").open("wb") as plain:
        open_stream(sealed, plain, identity)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "again").stat().st_size == 32 << 20
    assert peak < 1 << 20


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_not_called_tampering():
    identity, recipient = new_identity()

    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(OSError, match="No space left"),
    ):
        open_stream(io.BytesIO(seal(PLAIN, [recipient])), full, identity)


def test_a_bad_private_key_is_refused_without_repeating_it():
    secret, recipient = new_identity()
    with pytest.raises(Rejected, match=r"seal\.bad_identity") as refused:
        open_sealed(seal(b"x", [recipient]), secret[:-1])
    assert secret[20:-1] not in str(refused.value)


def test_a_bad_or_missing_recipient_is_refused():
    with pytest.raises(Rejected, match=r"seal\.bad_recipient"):
        seal(b"x", ["age1nobody"])
    with pytest.raises(Rejected, match=r"seal\.no_recipient"):
        seal(b"x", [])


def test_the_public_key_follows_from_the_private_one():
    identity, recipient = new_identity()
    assert recipient_of(identity) == recipient


@pytest.mark.skipif(shutil.which("age") is None, reason="the standard age command is not installed")
def test_the_standard_command_opens_ours_and_we_open_its(tmp_path: Path):
    identity, recipient = new_identity()
    (tmp_path / "key").write_text(identity)
    (tmp_path / "ours.age").write_bytes(seal(PLAIN, [recipient]))
    opened = subprocess.run(
        ["age", "--decrypt", "-i", tmp_path / "key", tmp_path / "ours.age"], capture_output=True, check=True
    )
    assert opened.stdout == PLAIN
    theirs = subprocess.run(["age", "-r", recipient], input=PLAIN, capture_output=True, check=True)
    assert open_sealed(theirs.stdout, identity) == PLAIN
