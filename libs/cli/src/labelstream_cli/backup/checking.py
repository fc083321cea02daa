"""Looks whether everything that a snapshot names is there and is what it was."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.values import sha256_file, sha256_hex
from labelstream_cli.backup import segments
from labelstream_cli.backup.book import Entry, Snapshot, StreamBackup, content
from labelstream_cli.backup.copying import SMALL
from labelstream_cli.backup.objects import read_list
from labelstream_cli.backup.segments import Damaged
from labelstream_cli.reaching import Tell, not_told
from labelstream_cli.running import CommandFailed

_AT_ONCE = 8
_CHUNK = 500
_SHOWN = 10


@dataclass
class Checked:
    """What was found."""

    snapshot: str
    segments: int = 0
    messages: int = 0
    contents: int = 0
    size_bytes: int = 0
    problems: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)  # that retention tore before anything could be backed up


async def check(
    files: Blobs, snapshot: Snapshot, tell: Tell = not_told, *, streams: bool = True, objects: bool = True
) -> Checked:
    """Read everything, or a part, and compare each digest. Raises Unavailable."""
    found = Checked(snapshot.name)
    for stream in snapshot.streams if streams else ():
        await _check_stream(files, stream, found, tell)
    if snapshot.secrets is not None:
        await _check_content(files, snapshot.secrets.file, snapshot.secrets.sha256, snapshot.secrets.size_bytes, found)
    if not objects:
        return found
    try:
        entries = await read_list(files, snapshot.objects)
    except Damaged as error:
        found.problems.append(str(error))
        return found
    await _check_objects(files, entries, found, tell)
    return found


def refuse_damaged(found: Checked) -> None:
    """Raise CommandFailed when anything is not what it was."""
    if found.problems:
        told = "\n  ".join(found.problems[:_SHOWN])
        more = f"\n  … and {len(found.problems) - _SHOWN} more" if len(found.problems) > _SHOWN else ""
        raise CommandFailed(
            f"the backup {found.snapshot} is damaged, nothing was restored:\n  {told}{more}\n"
            "Take an older snapshot (`labelstream backup list`), or another copy of the backup."
        )


async def _check_stream(files: Blobs, stream: StreamBackup, found: Checked, tell: Tell) -> None:
    found.problems += _broken_chain(stream)
    found.gaps += [f"{stream.stream}: offsets {one.first} to {one.last}" for one in stream.torn]
    for number, segment in enumerate(stream.segments, 1):
        try:
            deliveries = await segments.fetch(files, stream.stream, segment)
        except Damaged as error:
            found.problems.append(str(error))
        else:
            ends = (deliveries[0].offset, deliveries[-1].offset) if deliveries else None
            if ends != (segment.first, segment.last) or any(a.offset >= b.offset for a, b in pairwise(deliveries)):
                found.problems.append(f"{segment.file} does not hold the offsets {segment.first} to {segment.last}")
            found.messages += len(deliveries)
        found.segments += 1
        found.size_bytes += segment.size_bytes
        tell(stream.stream, number, len(stream.segments))


def _broken_chain(stream: StreamBackup) -> Iterator[str]:
    """Yield what is wrong with the order of a stream's segments."""
    for one, other in pairwise(stream.segments):
        if other.first <= one.last:
            yield f"{stream.stream}: the segment from {other.first} on begins before the one up to {one.last} ends"
    end = stream.segments[-1].last if stream.segments else -1
    if end != stream.end:
        yield f"{stream.stream}: the segments end at {end}, and not at {stream.end}"


async def _check_objects(files: Blobs, entries: Iterable[Entry], found: Checked, tell: Tell) -> None:
    contents = sorted({entry.sha256: entry.size_bytes for entry in entries}.items())
    total, done = sum(size for _, size in contents), 0
    hands = asyncio.Semaphore(_AT_ONCE)

    async def one(digest: str, size: int) -> None:
        async with hands:
            await _check_content(files, content(digest), digest, size, found)

    for at in range(0, len(contents), _CHUNK):
        chunk = contents[at : at + _CHUNK]
        await asyncio.gather(*(one(digest, size) for digest, size in chunk))
        done += sum(size for _, size in chunk)
        tell("objects", done, max(total, 1))


async def _check_content(files: Blobs, file: str, digest: str, size: int, found: Checked) -> None:
    try:
        there = await _digest_of(files, file, size)
    except BlobNotFound:
        found.problems.append(f"{file} is missing")
        return
    if there != digest:
        found.problems.append(f"{file} is damaged: its SHA-256 is not {digest}")
    found.contents += 1
    found.size_bytes += size


async def _digest_of(files: Blobs, file: str, size: int) -> str:
    if size <= SMALL:
        return sha256_hex((await files.get(file)).data)
    with tempfile.TemporaryDirectory(prefix="labelstream-backup-") as folder:
        path = Path(folder) / "object"
        await files.download(file, path)
        return await asyncio.to_thread(sha256_file, path)
