"""Removes old snapshots, and the files that no other one names.

What every kept snapshot names is read first: where that can't be read, nothing is removed. Snapshots go before their
files, so that none is left that names what is gone; interrupted, the next backup removes the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from labelstream.blobs.ports import BlobInfo, Blobs
from labelstream_cli.backup import book
from labelstream_cli.backup.book import SNAPSHOTS, content
from labelstream_cli.backup.objects import read_list
from labelstream_cli.reaching import Tell, not_told

_KINDS = ("streams/", "objects/", "lists/", "secrets/")
_AT_ONCE = 100


@dataclass(frozen=True)
class Pruned:
    """What was removed."""

    snapshots: tuple[str, ...] = ()
    files: int = 0
    size_bytes: int = 0


def superseded(names: Sequence[str], keep: int) -> tuple[str, ...]:
    """Return those of the snapshots, the oldest first, that are not among the newest `keep`."""
    return tuple(names[: max(len(names) - keep, 0)])


async def prune(files: Blobs, keep: int, tell: Tell = not_told) -> Pruned:
    """Keep the newest `keep` snapshots, at least one. Raises CommandFailed, Damaged, Unavailable."""
    names = await book.names(files)
    old = superseded(names, keep)
    if not old:
        return Pruned()
    named = {file for name in names[len(old) :] for file in await _named(files, name)}
    unnamed = [info async for info in _everything(files) if info.key not in named]
    for name in old:
        await files.delete(f"{SNAPSHOTS}{name}.json")
    for at in range(0, len(unnamed), _AT_ONCE):
        await asyncio.gather(*(files.delete(info.key) for info in unnamed[at : at + _AT_ONCE]))
        tell("removing", min(at + _AT_ONCE, len(unnamed)), len(unnamed))
    return Pruned(old, len(unnamed), sum(info.size_bytes for info in unnamed))


async def _named(files: Blobs, name: str) -> set[str]:
    """Return every file that a snapshot names, itself or in its list of objects."""
    snapshot = await book.read(files, name)
    listed = {content(entry.sha256) for entry in await read_list(files, snapshot.objects)}
    return listed | {one.file for one in snapshot.files()}


async def _everything(files: Blobs) -> AsyncIterator[BlobInfo]:
    for kind in _KINDS:
        async for info in files.list(kind):
            yield info
