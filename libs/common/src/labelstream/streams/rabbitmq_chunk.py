"""The messages of one chunk, as the broker delivers it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

SUB_BATCH = 0x80
UNCOMPRESSED, GZIP = 0, 1
GZIP_FORMAT = 31  # zlib's number for it
LARGEST_SUB_BATCH = 256 << 20  # bytes once decompressed


def messages(chunk: Any) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, bytes) for each message of an rstream `Deliver` frame.

    A producer may pack messages into sub-batches, compressed or not; each has an offset of its own.
    The broker does not look inside: where a sub-batch can't be read, its bytes stand at its first
    offset and nothing at the others, so that each is rejected and none is skipped unseen.
    """
    data, at, offset = chunk.data, 0, chunk.chunk_first_offset
    for _ in range(chunk.num_entries):
        if data[at] & SUB_BATCH:
            compression = (data[at] & 0x70) >> 4
            count = int.from_bytes(data[at + 1 : at + 3], "big")
            size = int.from_bytes(data[at + 3 : at + 7], "big")
            start, at = at + 11, at + 11 + int.from_bytes(data[at + 7 : at + 11], "big")
            inner = _sub_batch(data[start:at], compression, count, size)
        else:
            start, at = at + 4, at + 4 + int.from_bytes(data[at : at + 4], "big")
            inner = [data[start:at]]
        for raw in inner:
            yield offset, raw
            offset += 1


def _sub_batch(data: bytes, compression: int, count: int, size: int) -> list[bytes]:
    try:
        return _split(_decompressed(data, compression, size), count)
    except (zlib.error, ValueError):
        return ([data] + [b""] * (count - 1))[:count]


def _decompressed(data: bytes, compression: int, size: int) -> bytes:
    if compression == UNCOMPRESSED:
        return data
    if compression != GZIP or size > LARGEST_SUB_BATCH:
        raise ValueError("a compression that we do not read, or more than we would")
    plain = zlib.decompressobj(GZIP_FORMAT).decompress(data, size + 1)  # never more than was announced
    if len(plain) != size:
        raise ValueError("not the announced size")
    return plain


def _split(data: bytes, count: int) -> list[bytes]:
    parts, at = [], 0
    for _ in range(count):
        start = at + 4
        at = start + int.from_bytes(data[at:start], "big")
        if at > len(data):
            raise ValueError("cut short")
        parts.append(data[start:at])
    return parts
