"""Copies objects of the store into a backup: each content once, whatever it is called."""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from labelstream.blobs.ports import BlobInfo, BlobNotFound, Blobs
from labelstream.values import sha256_file, sha256_hex
from labelstream_cli.backup.book import Bucket, Entry, content
from labelstream_cli.backup.objects import from_lines, listed, to_lines
from labelstream_cli.backup.segments import Damaged
from labelstream_cli.reaching import Tell, not_told
from labelstream_cli.running import CommandFailed

SMALL: Final = 8 << 20  # bytes that are held in memory
_AT_ONCE: Final = 8
_CHUNK: Final = 500  # objects after which an interrupted backup need not look again
_NOTE_EVERY_S: Final = 20.0
_READS: Final = 5  # of an object that is written over while it is read
_PARTIAL: Final = "partial/"

Key = tuple[Bucket, str]


@dataclass
class Copied:
    """What one run added."""

    objects: int = 0
    size_bytes: int = 0  # of contents that were not there before


@dataclass
class Copier:
    """Brings what is new in the store into the backup. `run` may be called again, for what changed meanwhile."""

    buckets: Mapping[Bucket, Blobs]
    files: Blobs
    without: tuple[str, ...] = ()
    tell: Tell = not_told
    copied: Copied = field(default_factory=Copied)
    _known: dict[Key, Entry] = field(default_factory=dict)
    _unnoted: list[Entry] = field(default_factory=list)
    _noted_at: float = field(default_factory=time.monotonic)

    async def recall(self, before: Iterable[Entry]) -> None:
        """Begin with what the last backup holds, and with what an interrupted one copied since."""
        self._known = {(entry.bucket, entry.key): entry for entry in before}
        async for info in self.files.list(_PARTIAL):
            try:
                for entry in from_lines((await self.files.get(info.key)).data, info.key):
                    self._known[entry.bucket, entry.key] = entry
            except Damaged:
                continue  # it only saves time

    async def changed(self) -> list[tuple[Bucket, BlobInfo]]:
        """Return what is new in the store, or not what it was."""
        return [(role, info) async for role, info in listed(self.buckets, self.without) if not self._has(role, info)]

    async def run(self) -> list[Entry]:
        """Copy what changed; return what the store holds, as far as it was there the whole time."""
        now: dict[Key, Entry] = {}
        new: list[tuple[Bucket, BlobInfo]] = []
        async for role, info in listed(self.buckets, self.without):
            if self._has(role, info):
                now[role, info.key] = self._known[role, info.key]
            else:
                new.append((role, info))
        total, done = sum(info.size_bytes for _, info in new), 0
        for at in range(0, len(new), _CHUNK):
            chunk = new[at : at + _CHUNK]
            for entry in await self._copy_all(chunk):
                now[entry.bucket, entry.key] = self._known[entry.bucket, entry.key] = entry
            done += sum(info.size_bytes for _, info in chunk)
            self.tell("objects", done, max(total, 1))
            await self._note()
        return list(now.values())

    async def forget(self) -> None:
        """Remove the notes for an interrupted backup: a snapshot names everything now."""
        for key in [info.key async for info in self.files.list(_PARTIAL)]:
            await self.files.delete(key)

    def _has(self, role: Bucket, info: BlobInfo) -> bool:
        known = self._known.get((role, info.key))
        return known is not None and (known.etag, known.size_bytes) == (_plain(info.etag), info.size_bytes)

    async def _copy_all(self, chunk: list[tuple[Bucket, BlobInfo]]) -> list[Entry]:
        hands = asyncio.Semaphore(_AT_ONCE)

        async def one(role: Bucket, info: BlobInfo) -> Entry | None:
            async with hands:
                try:
                    return await self._copy(role, info)
                except BlobNotFound:
                    return None  # it was removed meanwhile

        found = await asyncio.gather(*(one(role, info) for role, info in chunk))
        copied = [entry for entry in found if entry is not None]
        self._unnoted += copied
        return copied

    async def _copy(self, role: Bucket, info: BlobInfo) -> Entry:
        modified_ms = int(info.modified.timestamp() * 1000)
        if info.size_bytes > SMALL:
            digest, etag, size = await self._copy_large(self.buckets[role], info)
        else:
            found = await self.buckets[role].get(info.key)
            digest, etag, size = sha256_hex(found.data), _plain(found.etag), len(found.data)
            if await self._is_new(digest, size):
                await self.files.put(content(digest), found.data)
        self.copied.objects += 1
        return Entry(role, info.key, size, digest, etag, modified_ms)

    async def _copy_large(self, bucket: Blobs, info: BlobInfo) -> tuple[str, str, int]:
        with tempfile.TemporaryDirectory(prefix="labelstream-backup-") as folder:
            path = Path(folder) / "object"
            for _ in range(_READS):
                before = await bucket.head(info.key)
                await bucket.download(info.key, path)
                after = await bucket.head(info.key)
                if before is not None and after is not None and before.etag == after.etag:
                    digest = await asyncio.to_thread(sha256_file, path)
                    if await self._is_new(digest, after.size_bytes):
                        await self.files.upload(path, content(digest))
                    return digest, _plain(after.etag), after.size_bytes
        raise CommandFailed(f"{info.key} was written over {_READS} times while it was read: try again later")

    async def _is_new(self, digest: str, size: int) -> bool:
        """Say whether this content is yet to be stored."""
        there = await self.files.head(content(digest))
        if there is not None and there.size_bytes == size:
            return False
        self.copied.size_bytes += size
        return True

    async def _note(self) -> None:
        """Write down what was copied, so that a backup that is interrupted need not do it again."""
        if self._unnoted and time.monotonic() - self._noted_at > _NOTE_EVERY_S:
            await self.files.put(f"{_PARTIAL}{uuid.uuid4().hex}.jsonl.gz", to_lines(self._unnoted))
            self._unnoted, self._noted_at = [], time.monotonic()


def _plain(etag: str) -> str:
    """Return an ETag as every call of every store tells it."""
    return etag.strip('"')
