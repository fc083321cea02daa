from __future__ import annotations

import struct
import zlib

import pytest

from labelstream import png


def chunk(name: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


HEADER = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 0, 0, 0, 0))
BODY = chunk(b"IDAT", zlib.compress(bytes(3)))
WHOLE = png.SIGNATURE + HEADER + BODY + chunk(b"IEND")


def test_a_whole_file_may_have_something_behind_its_last_chunk() -> None:
    assert png.is_whole(WHOLE)
    assert png.is_whole(WHOLE + b"a trailer")


@pytest.mark.parametrize("length", range(len(png.SIGNATURE), len(WHOLE)))
def test_a_file_that_is_cut_off_is_not_whole(length: int) -> None:
    assert not png.is_whole(WHOLE[:length])


def test_a_chunk_that_is_longer_than_the_file_is_noticed_even_in_the_last() -> None:
    at = len(WHOLE) - 12
    assert not png.is_whole(WHOLE[:at] + struct.pack(">I", 0x7000_0000) + WHOLE[at + 4 :])


def test_damage_counts_in_the_picture_and_not_in_what_is_said_beside_it() -> None:
    damaged = BODY[:-1] + bytes([BODY[-1] ^ 1])
    assert not png.is_whole(png.SIGNATURE + HEADER + damaged + chunk(b"IEND"))
    text = chunk(b"tEXt", b"a\0b")
    assert png.is_whole(png.SIGNATURE + HEADER + text[:-1] + bytes([text[-1] ^ 1]) + BODY + chunk(b"IEND"))


def test_chunks_and_depth_are_read_from_the_file() -> None:
    assert list(png.chunks(WHOLE)) == [b"IHDR", b"IDAT", b"IEND"]
    assert png.depth(WHOLE) == 16
