"""Messages of a stream as a file: gzip, and in it MessagePack.

The first object is a map: {"format": "labelstream-stream", "version": 1, "stream": name}. Each one after it is a
list: [offset, when the broker stored it in ms since 1970, bytes]. Offsets rise. The same messages make the same file.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgpack

from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.streams.message import Delivery
from labelstream.values import sha256_hex
from labelstream_cli.backup.book import Segment
from labelstream_cli.running import CommandFailed

MOST_BYTES: Final = 64 << 20  # of messages in one file; one that is larger has a file of its own
_HEAD: Final = {"format": "labelstream-stream", "version": 1}
_DENSE: Final = 16 << 10  # bytes a message: those are images mostly, which don't get smaller
_LARGEST: Final = (1 << 32) - 1


class Damaged(CommandFailed):
    """A file of the backup is not what it was."""


@dataclass(frozen=True)
class Packed:
    """A segment, and the bytes of its file."""

    segment: Segment
    data: bytes


def pack(stream: str, deliveries: Sequence[Delivery]) -> Packed:
    """Make a segment of messages."""
    raw_bytes = sum(len(one.raw) for one in deliveries)
    packer = msgpack.Packer()
    plain = packer.pack({**_HEAD, "stream": stream})
    plain += b"".join(packer.pack([one.offset, one.timestamp_ms, one.raw]) for one in deliveries)
    data = gzip.compress(plain, compresslevel=0 if raw_bytes > _DENSE * len(deliveries) else 1, mtime=0)
    first, last, digest = deliveries[0].offset, deliveries[-1].offset, sha256_hex(data)
    segment = Segment(
        file=f"streams/{stream}/{first:020d}-{last:020d}-{digest[:16]}.gz",
        sha256=digest,
        size_bytes=len(data),
        first=first,
        last=last,
        messages=len(deliveries),
        raw_bytes=raw_bytes,
    )
    return Packed(segment, data)


def unpack(stream: str, segment: Segment, data: bytes) -> list[Delivery]:
    """Return the messages of a segment's file. Raises Damaged when it is not the file that was written."""
    if sha256_hex(data) != segment.sha256:
        raise Damaged(f"{segment.file} is damaged: its SHA-256 is not {segment.sha256}")
    found = _messages(stream, segment.file, data)
    if len(found) != segment.messages:
        raise Damaged(f"{segment.file} holds {len(found)} messages, and not {segment.messages}")
    return found


async def fetch(files: Blobs, stream: str, segment: Segment) -> list[Delivery]:
    """Return the messages of a segment. Raises Damaged, Unavailable."""
    try:
        data = (await files.get(segment.file)).data
    except BlobNotFound:
        raise Damaged(f"{segment.file} is missing") from None
    return unpack(stream, segment, data)


def _messages(stream: str, file: str, data: bytes) -> list[Delivery]:
    try:
        unpacker = msgpack.Unpacker(max_buffer_size=_LARGEST)
        unpacker.feed(gzip.decompress(data))
        head, *found = unpacker
        if head != {**_HEAD, "stream": stream}:
            raise Damaged(f"{file} holds no messages of {stream} that this command can read: it says {head}")
        return [Delivery(stream, offset, raw, timestamp_ms) for offset, timestamp_ms, raw in found]
    except (OSError, EOFError, zlib.error, ValueError, TypeError, msgpack.UnpackException) as error:
        raise Damaged(f"{file} can't be read: {error}") from error


def reread(stream: str, file: str, data: bytes) -> tuple[Segment, list[Delivery]] | None:
    """Return the segment of a file that no snapshot names yet; None when it is not as `pack` writes it."""
    try:
        deliveries = _messages(stream, file, data)
    except Damaged:
        return None
    if not deliveries:
        return None
    found = pack(stream, deliveries).segment
    return (found, deliveries) if found.file == file else None
