from __future__ import annotations

import os
from pathlib import Path

import pytest

from labelstream.errors import Rejected
from labelstream.protection.sealing import NotForUs, Tampered, new_identity, open_sealed, seal
from labelstream.protection.splitting import (
    FIRST_CHUNK,
    NONCE,
    join,
    join_file,
    small_bytes,
    small_part,
    split,
    write_big_part,
)

PLAIN = os.urandom(200_000)


@pytest.mark.parametrize("devices", [1, 30, 500])
def test_the_big_part_alone_opens_with_no_key(devices: int):
    pairs = [new_identity() for _ in range(devices)]
    recipients = [recipient for _, recipient in pairs]
    small, big = split(seal(PLAIN, recipients))
    other = split(seal(PLAIN, recipients)).small
    assert len(big) > 100_000
    assert all(PLAIN[i : i + 64] not in big for i in range(0, len(PLAIN), 64))
    for identity, _ in pairs:
        with pytest.raises(Rejected):
            open_sealed(big, identity)
    for identity, _ in (pairs[0], pairs[-1]):
        with pytest.raises(Tampered):
            open_sealed(other + big, identity)  # behind a header that does open
        assert open_sealed(join(small, big), identity) == PLAIN


def test_a_forged_header_does_not_open_the_big_part():
    identity, recipient = new_identity()  # the model's own key pair, in the wrong hands
    _, big = split(seal(PLAIN, [recipient]))
    forged = seal(PLAIN, [recipient])
    header = forged[: small_bytes(forged) - FIRST_CHUNK - NONCE]
    with pytest.raises(Tampered):
        open_sealed(header + big, identity)  # the body's first bytes taken for the nonce
    with pytest.raises(Tampered):
        open_sealed(split(forged).small + big, identity)  # another file's small part, the same plain bytes


def test_the_header_without_the_first_chunk_opens_nothing_of_the_first_chunk():
    identity, recipient = new_identity()
    sealed = seal(PLAIN, [recipient])
    small, big = split(sealed)
    with pytest.raises(Tampered):
        open_sealed(small[:-FIRST_CHUNK] + big, identity)


def test_the_small_part_ends_behind_the_first_chunk():
    _, recipient = new_identity()
    sealed = seal(PLAIN, [recipient])
    small, big = split(sealed)
    header_end = sealed.index(b"\n", sealed.index(b"\n--- ") + 1) + 1
    assert len(small) == header_end + 16 + 65_536 + 16
    assert small + big == sealed


def test_parts_of_two_models_do_not_fit():
    identity, recipient = new_identity()
    one, two = split(seal(PLAIN, [recipient])), split(seal(PLAIN, [recipient]))
    with pytest.raises(Tampered):
        open_sealed(join(one.small, two.big), identity)
    stranger = split(seal(PLAIN, [new_identity()[1]]))
    with pytest.raises(NotForUs):
        open_sealed(join(stranger.small, one.big), identity)


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536])
def test_a_file_within_the_first_chunk_leaves_an_empty_big_part(size: int):
    identity, recipient = new_identity()
    small, big = split(seal(PLAIN[:size], [recipient]))
    assert big == b""
    assert open_sealed(small, identity) == PLAIN[:size]


def test_a_file_is_split_and_joined_like_bytes(tmp_path: Path):
    _, recipient = new_identity()
    sealed = seal(PLAIN, [recipient])
    (tmp_path / "sealed").write_bytes(sealed)
    write_big_part(tmp_path / "sealed", tmp_path / "big")
    assert (small_part(tmp_path / "sealed"), (tmp_path / "big").read_bytes()) == split(sealed)
    join_file(small_part(tmp_path / "sealed"), tmp_path / "big", tmp_path / "whole")
    assert (tmp_path / "whole").read_bytes() == sealed


@pytest.mark.parametrize("content", [b"", b"age-encryption.org/v1\n-> X25519", b"something\n--- else\n"])
def test_what_is_not_sealed_is_not_split(content: bytes):
    with pytest.raises(Tampered, match=r"seal\.damaged"):
        split(content)
