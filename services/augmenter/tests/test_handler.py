from __future__ import annotations

import asyncio
import io
import tarfile
from dataclasses import replace
from typing import Any

import pytest

from augmenter.domain import Batch, Limits, Sample
from augmenter.handler import Augmenter
from augmenter.making import Workshop
from augmenter.recipe import Recipe
from augmenter.room import Room
from augmenter.store import Store
from labelstream.blobs.memory import MemoryBlobs
from labelstream.events.batch import BatchAugmented
from labelstream.labels import yolo_lines
from labelstream.service.health import Health
from labelstream.values import sha256_hex

DEFAULT = Limits()


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def augmenter(blobs: MemoryBlobs, renderer: Any, recipe: Recipe) -> Augmenter:
    return made_of(blobs, renderer, recipe)


def made_of(blobs: MemoryBlobs, renderer: Any, recipe: Recipe, limits: Limits = DEFAULT) -> Augmenter:
    return Augmenter(Workshop(Store(blobs, Health()), renderer, Room(1 << 30)), recipe, limits)


async def _stored(blobs: MemoryBlobs, scenes: list[Any]) -> Batch:
    for drawn in scenes:
        await blobs.put(drawn.image.key, drawn.encoded)
    samples = tuple(drawn.sample(f"n{i}", i) for i, drawn in enumerate(scenes))
    return Batch("default", "annotation-events", 0, len(scenes), samples)


async def _augmented(augmenter: Augmenter, batch: Batch) -> BatchAugmented:
    event = (await augmenter.handle(batch)).event
    assert isinstance(event, BatchAugmented)
    return event


def _members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]


async def test_an_archive_holds_each_image_with_its_labels_as_the_event_says(
    augmenter: Augmenter, blobs: MemoryBlobs, scene: Any
) -> None:
    scenes = [scene(1), scene(2)]
    event = await _augmented(augmenter, await _stored(blobs, scenes))
    assert event.archive is not None
    archive = (await blobs.get(event.archive.key)).data
    assert sha256_hex(archive) == event.archive.sha256
    files = _members(archive)
    assert len(files) == 2 * 8 * 2 + 1
    for drawn, member in zip(scenes, event.members, strict=True):
        assert member.image == drawn.image.sha256
        assert [v.variant for v in member.variants] == list(range(8))
        stem = f"{member.image[:16]}-{member.labels[:8]}"
        for variant in member.variants:
            assert variant.image_path == f"{stem}_{variant.variant}.jpg"
            assert sha256_hex(files[variant.image_path]) == variant.sha256
            assert files[f"{stem}_{variant.variant}.txt"].count(b"\n") == variant.boxes
        assert files[f"{stem}_0.jpg"] == drawn.encoded
        assert files[f"{stem}_0.txt"].decode() == yolo_lines(drawn.shapes)


async def test_the_same_batch_again_gives_the_same_event_without_rendering(
    augmenter: Augmenter, blobs: MemoryBlobs, scene: Any, renderer: Any
) -> None:
    batch = await _stored(blobs, [scene(1), scene(2)])
    first = await augmenter.handle(batch)
    again = await augmenter.handle(batch)
    assert again.event == first.event
    assert again.id == first.id
    assert renderer.rendered == 2


async def test_the_same_content_at_another_offset_is_found_and_said_with_its_own_name(
    augmenter: Augmenter, blobs: MemoryBlobs, scene: Any
) -> None:
    batch = await _stored(blobs, [scene(1)])
    first = await _augmented(augmenter, batch)
    moved = replace(batch, first=90, last=99, samples=(replace(batch.samples[0], name="other", offset=95),))
    event = await _augmented(augmenter, moved)
    assert event.archive == first.archive
    assert (event.members[0].name, event.members[0].offset) == ("other", 95)


async def test_what_was_stored_first_stands(recipe: Recipe, scene: Any, renderer: Any) -> None:
    class Raced(MemoryBlobs):
        """Another worker's archive comes first, with other pixels in it."""

        async def create(self, key: str, data: bytes) -> str | None:
            assert data != theirs
            await super().put(key, theirs)
            return None

    blobs = Raced()
    batch = await _stored(blobs, [scene(1)])
    elsewhere = MemoryBlobs()
    await _stored(elsewhere, [scene(1)])
    other = made_of(elsewhere, renderer, recipe.model_copy(update={"jpeg_quality": 20}))
    said = await _augmented(other, batch)
    assert said.archive is not None
    theirs = (await elsewhere.get(said.archive.key)).data
    event = await _augmented(made_of(blobs, renderer, recipe), batch)
    assert event.archive is not None
    assert event.archive.sha256 == sha256_hex(theirs)
    assert event.members == said.members


async def test_a_bad_sample_is_left_out_with_its_reason_and_the_others_stay(
    augmenter: Augmenter, blobs: MemoryBlobs, scene: Any, renderer: Any, image_ref: Any
) -> None:
    batch = await _stored(blobs, [scene(n) for n in range(5)])
    gone, changed, crashing, unreadable, good = batch.samples
    await blobs.delete(gone.image.key)
    await blobs.put(changed.image.key, b"something else")
    renderer.crashing.add(crashing.image.sha256)
    text = Sample("n3", 3, image_ref(b"no image"), unreadable.labels, unreadable.shapes)
    await blobs.put(text.image.key, b"no image")
    event = await _augmented(augmenter, replace(batch, samples=(gone, changed, crashing, text, good)))
    assert [(s.name, s.reason.split(":")[0]) for s in event.left_out] == [
        ("n0", "image.missing"),
        ("n1", "image.changed"),
        ("n2", "image.crash"),
        ("n3", "image.unreadable"),
    ]
    assert [member.name for member in event.members] == ["n4"]


@pytest.mark.parametrize("missing", [1, 2, 200, 13_000])  # bytes at the end
async def test_a_jpeg_that_was_recorded_truncated_is_left_out_and_the_others_stay(
    augmenter: Augmenter, blobs: MemoryBlobs, scene: Any, image_ref: Any, missing: int
) -> None:
    whole = scene(1)
    cut = whole.encoded[:-missing]
    event = await _augmented(
        augmenter, await _stored(blobs, [replace(whole, encoded=cut, image=image_ref(cut)), scene(2)])
    )
    assert [(one.name, one.reason.split(":")[0]) for one in event.left_out] == [("n0", "image.unreadable")]
    assert [member.name for member in event.members] == ["n1"]


async def test_a_batch_with_nothing_in_it_has_no_archive(augmenter: Augmenter) -> None:
    event = await _augmented(augmenter, Batch("default", "annotation-events", 5, 9))
    assert (event.archive, event.members, event.input.first, event.input.last) == (None, (), 5, 9)


async def test_more_than_an_archive_should_hold_goes_to_several(
    blobs: MemoryBlobs, renderer: Any, recipe: Recipe, scene: Any
) -> None:
    augmenter = made_of(blobs, renderer, recipe, Limits(count=2))
    event = await _augmented(augmenter, await _stored(blobs, [scene(n) for n in range(5)]))
    assert event.archive is not None
    archives = [event.archive, *event.more_archives]
    assert [member.archive for member in event.members] == [0, 0, 1, 1, 2]
    for member in event.members:
        files = _members((await blobs.get(archives[member.archive].key)).data)
        assert {variant.image_path for variant in member.variants} <= set(files)


async def test_the_augmenter_waits_for_a_store_that_is_away(
    blobs: MemoryBlobs, renderer: Any, recipe: Recipe, scene: Any
) -> None:
    batch, health = await _stored(blobs, [scene(1)]), Health()
    augmenter = Augmenter(Workshop(Store(blobs, health), renderer, Room(1 << 30)), recipe, Limits())
    blobs.away = "maintenance"
    work = asyncio.create_task(augmenter.handle(batch))
    while health.is_ready:  # noqa: ASYNC110  # health tells nobody of its changes
        await asyncio.sleep(0)
    assert not work.done()
    blobs.away = None
    event = (await work).event
    assert isinstance(event, BatchAugmented)
    assert len(event.members) == 1
    assert health.is_ready
