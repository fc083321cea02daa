"""Unvalidated originals are packed by what they are, and an erasure that comes between finds nothing left behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.service.health import Health
from labelstream.values import sha256_hex
from labelstream_datasets.archives.contents import contents_of, without
from labelstream_datasets.archives.erased import Erasure
from labelstream_datasets.archives.originals import ONE_IN, ORIGINALS, Packer, grouped
from labelstream_datasets.layout.materialise import materialise
from labelstream_datasets.options import DatasetOptions
from labelstream_datasets.store import store

EVERYTHING = DatasetOptions(validated_only=False)


def drafts(scribe: Any, numbers: range) -> None:
    for n in numbers:
        scribe.record(f"n{n}", n, f"m{n}", validated=False)


async def archives(blobs: MemoryBlobs) -> set[str]:
    return {info.key async for info in blobs.list(keys.archives("default"))}


def digest(number: int) -> str:
    return sha256_hex(f"image {number}".encode())


async def test_originals_are_laid_out_like_all_samples(
    scribe: Any, archivist: Any, build_all: Any, stored_images: Any, blobs: MemoryBlobs, tmp_path: Path
) -> None:
    drafts(scribe, range(5))
    await stored_images(range(5))
    built = await build_all(scribe, await archivist.answer(scribe), options=EVERYTHING)
    folder = await materialise(blobs, Health(), (await store(blobs, built)).description, tmp_path / "d")
    assert {path.read_bytes() for path in folder.glob("*/images/*")} == {f"image {n}".encode() for n in range(5)}
    assert len(list(folder.glob("*/labels/*.txt"))) == 5


async def test_growing_data_leaves_most_archives_as_they_are(
    scribe: Any, archivist: Any, build_all: Any, stored_images: Any, blobs: MemoryBlobs
) -> None:
    drafts(scribe, range(400))
    await stored_images(range(401))
    await build_all(scribe, await archivist.answer(scribe), options=EVERYTHING)
    before = await archives(blobs)
    scribe.record("one more", 400, "m", validated=False)
    scribe.say("n7", "deleted")
    await build_all(scribe, await archivist.answer(scribe), options=EVERYTHING)
    assert len(before) >= 4
    assert len(await archives(blobs) - before) <= 2


async def test_archives_end_where_an_image_says_so_or_when_they_are_full(scribe: Any) -> None:
    drafts(scribe, range(300))
    groups = list(grouped(scribe.view.standing("default", unvalidated=True)))
    assert sum(map(len, groups)) == 300
    lasts = [int(group[-1].annotation.image.sha256[:8], 16) % ONE_IN for group in groups[:-1]]
    assert lasts == [0] * len(lasts)


async def test_an_image_that_is_gone_or_changed_is_missing_and_counted(
    scribe: Any, archivist: Any, build_all: Any, stored_images: Any, blobs: MemoryBlobs
) -> None:
    drafts(scribe, range(4))
    await stored_images([0, 1, 2])
    await blobs.put(keys.image("default", digest(2), "jpg"), b"something else")
    built = await build_all(scribe, await archivist.answer(scribe), options=EVERYTHING)
    assert {row.image for row in built.manifest.rows()} == {digest(0), digest(1)}
    assert built.description.missing == 2


class ErasedMeanwhile(MemoryBlobs):
    """A store out of which an image goes right after the first archive came."""

    def __init__(self, erased: str) -> None:
        super().__init__()
        self.erased = erased

    async def create(self, key: str, data: bytes) -> str | None:
        etag = await super().create(key, data)
        await self.delete(self.erased)
        return etag


async def test_an_image_that_is_erased_while_it_is_packed_stays_in_no_archive(scribe: Any) -> None:
    drafts(scribe, range(3))
    blobs = ErasedMeanwhile(keys.image("default", digest(1), "jpg"))
    for n in range(3):
        await blobs.put(keys.image("default", digest(n), "jpg"), f"image {n}".encode())
    found = await Packer("default", blobs).pack(scribe.view.standing("default", unvalidated=True))
    assert {image for image, _ in found} == {digest(0), digest(2)}
    for key in await archives(blobs):
        contents = contents_of((await blobs.get(key)).data)
        assert (contents.recipe, digest(1) in {made.image for made in contents.made}) == (ORIGINALS, False)


async def test_an_archive_that_somebody_else_refers_to_is_left_to_the_erasure(
    scribe: Any, stored_images: Any, blobs: MemoryBlobs
) -> None:
    drafts(scribe, range(2))
    await stored_images(range(2))
    packer = Packer("default", blobs)
    before = await packer.pack(scribe.view.standing("default", unvalidated=True))
    old = await archives(blobs)
    await blobs.delete(keys.image("default", digest(0), "jpg"))
    after = await packer.pack(scribe.view.standing("default", unvalidated=True))
    assert {image for image, _ in after} == {digest(1)}
    assert old <= await archives(blobs)
    (reference,) = {stored.archive.key for stored in before.values()}
    rewritten = without((await blobs.get(reference)).data, Erasure(frozenset([digest(0)])))  # as the eraser does
    assert rewritten is not None
    assert [made.image for made in contents_of(rewritten).made] == [digest(1)]


async def test_an_archive_that_is_used_again_is_new_to_whoever_collects(
    scribe: Any, stored_images: Any, blobs: MemoryBlobs
) -> None:
    drafts(scribe, range(2))
    await stored_images(range(2))
    packer = Packer("default", blobs)
    before = await packer.pack(scribe.view.standing("default", unvalidated=True))
    later = datetime.now(UTC) + timedelta(days=90)
    blobs.clock = lambda: later
    assert await packer.pack(scribe.view.standing("default", unvalidated=True)) == before
    assert [info.modified async for info in blobs.list(keys.archives("default"))] == [later]
