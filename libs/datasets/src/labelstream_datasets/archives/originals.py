"""Originals that nobody validated: no batch holds them, so the builder of a dataset packs them itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from labelstream import keys
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.values import FileRef, digest_of, sha256_hex
from labelstream.view import Entry
from labelstream_datasets.archives.contents import ArchiveWriter, contents_of
from labelstream_datasets.archives.keeping import keep
from labelstream_datasets.building.index import StoredContent, StoredVariant

ORIGINALS: Final = digest_of(["labelstream", "originals only"])  # what stands for the recipe

Content = tuple[str, str]  # digests of image and labels

MOST_BYTES: Final = 64 << 20
ONE_IN: Final = 64  # images end an archive: those before it stay together, whatever comes or goes elsewhere
AT_ONCE: Final = 16  # images that are read at the same time


@dataclass(frozen=True)
class Packer:
    """Packs originals into archives under the names of what is in them; what is stored first stands."""

    project: str
    blobs: Blobs

    async def pack(self, entries: Iterable[Entry]) -> dict[Content, StoredContent]:
        """Return where each original lies; one that the store does not have is left out. Raises Unavailable."""
        found: dict[Content, StoredContent] = {}
        groups = grouped(entries)
        while (group := await asyncio.to_thread(next, groups, None)) is not None:
            found.update(await self._stored(group))
        return found

    async def _stored(self, group: list[Entry]) -> dict[Content, StoredContent]:
        """Store one archive, and look again whether every image in it is still there.

        For an erasure may have removed one meanwhile, and have looked through the archives before this one came.
        """
        while group:
            key = keys.archive(self.project, digest_of([ORIGINALS, *(_content(entry) for entry in group)]))
            stored, created = await self._get(key) if await keep(self.blobs, key) else None, False
            if stored is None:
                encoded = await self._read_all(group)
                if None in encoded:
                    group = [entry for entry, one in zip(group, encoded, strict=True) if one is not None]
                    continue
                packed = await asyncio.to_thread(_pack, group, encoded)
                created = await self.blobs.create(key, packed) is not None
                stored = packed if created else (await self.blobs.get(key)).data
            left = await self._still_there(group)
            if len(left) == len(group):
                return _contents(stored, await asyncio.to_thread(FileRef.of, key, stored))
            if created:  # else whoever erases knows of it
                await self.blobs.delete(key)
            group = left
        return {}

    async def _get(self, key: str) -> bytes | None:
        try:
            return (await self.blobs.get(key)).data
        except BlobNotFound:
            return None

    async def _read_all(self, group: list[Entry]) -> list[bytes | None]:
        read: list[bytes | None] = []
        for some in _slices(group):
            read += await asyncio.gather(*(self._read(entry) for entry in some))
        return read

    async def _read(self, entry: Entry) -> bytes | None:
        image = entry.annotation.image
        encoded = await self._get(image.key)
        return encoded if encoded is not None and sha256_hex(encoded) == image.sha256 else None

    async def _still_there(self, group: list[Entry]) -> list[Entry]:
        left: list[Entry] = []
        for some in _slices(group):
            heads = await asyncio.gather(*(self.blobs.head(entry.annotation.image.key) for entry in some))
            left += [entry for entry, head in zip(some, heads, strict=True) if head is not None]
        return left


def grouped(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Part entries into what one archive each holds: where one ends is up to the images around that place alone."""
    group: list[Entry] = []
    size_bytes = 0
    for entry in entries:
        image = entry.annotation.image
        if group and size_bytes + image.size_bytes > MOST_BYTES:
            yield group
            group, size_bytes = [], 0
        group.append(entry)
        size_bytes += image.size_bytes
        if int(image.sha256[:8], 16) % ONE_IN == 0:
            yield group
            group, size_bytes = [], 0
    if group:
        yield group


def _slices(group: list[Entry]) -> Iterator[list[Entry]]:
    return (group[start : start + AT_ONCE] for start in range(0, len(group), AT_ONCE))


def _content(entry: Entry) -> Content:
    return entry.annotation.image.sha256, entry.annotation.labels


def _pack(group: list[Entry], encoded: Iterable[bytes | None]) -> bytes:
    writer = ArchiveWriter(ORIGINALS)
    for entry, one in zip(group, encoded, strict=True):
        if one is not None:
            annotation = entry.annotation
            writer.add(annotation.image, annotation.labels, [(one, annotation.shapes)], None)
    return writer.finish()[1] or b""


def _contents(stored: bytes, archive: FileRef) -> dict[Content, StoredContent]:
    return {
        (made.image, made.labels): StoredContent(
            archive,
            tuple(StoredVariant(one.variant, one.image_path, one.sha256, one.boxes) for one in made.variants),
            made.phash,
        )
        for made in contents_of(stored).made
    }
