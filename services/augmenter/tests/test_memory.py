"""What archives in the making may take, and what is refused or waits because of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from augmenter.app import refuse_too_large_batches
from augmenter.making import Order, Workshop
from augmenter.recipe import load_recipe
from augmenter.rendering import Rendering
from augmenter.room import Room
from augmenter.settings import AugmenterGroup
from labelstream.errors import Misconfigured
from labelstream.events.annotation import ImageRef

MEGAPIXELS_64 = {"width": 9248, "height": 6944}
RECIPE = load_recipe("default")
SIZE, TIMES = 1000, RECIPE.count + 2


@dataclass
class Slow:
    """A renderer that tells which images are with it, and takes its time."""

    workers: int = 4
    inside: set[str] = field(default_factory=set)
    door: asyncio.Event = field(default_factory=asyncio.Event)

    async def render(self, _encoded: bytes, image: ImageRef, *_: object) -> Rendering:
        self.inside.add(image.sha256)
        await self.door.wait()
        self.inside.remove(image.sha256)
        return Rendering((), "0" * 16)


def order(scene: Any, number: int, **said: int) -> Order:
    sample = scene(number).sample()
    image = sample.image.model_copy(update=said)
    return Order("default", RECIPE, (type(sample)("n", 0, image, sample.labels, sample.shapes),))


def test_a_full_batch_that_needs_more_than_there_is_is_refused_with_what_would_do() -> None:
    group = AugmenterGroup(batch_bytes=SIZE, memory_bytes=SIZE * TIMES - 1)
    with pytest.raises(Misconfigured) as refused:
        refuse_too_large_batches(group, RECIPE)
    less, more = (SIZE * TIMES - 1) // TIMES, SIZE * TIMES
    assert f"BATCH_BYTES to {less} or less" in str(refused.value)
    assert f"MEMORY_BYTES to {more} or more" in str(refused.value)
    refuse_too_large_batches(group.model_copy(update={"batch_bytes": less}), RECIPE)
    refuse_too_large_batches(group.model_copy(update={"memory_bytes": more}), RECIPE)


def test_the_settings_as_they_come_are_not_refused() -> None:
    refuse_too_large_batches(AugmenterGroup(), RECIPE)


def test_an_image_counts_by_its_bytes_or_by_its_pixels_whatever_is_more(scene: Any) -> None:
    assert order(scene, 1, size_bytes=SIZE * 100).size_bytes == SIZE * 100 * TIMES
    assert order(scene, 1, size_bytes=SIZE, **MEGAPIXELS_64).size_bytes == 9248 * 6944 // 4 * TIMES


async def test_really_large_images_are_made_one_after_the_other_and_small_ones_together(world: Any, scene: Any) -> None:
    for n in range(4):
        await world.blobs.put(scene(n).image.key, scene(n).encoded)
    slow = Slow()
    workshop = Workshop(world.store, slow, Room(100 << 20))
    making = [asyncio.create_task(workshop.make(order(scene, n, **MEGAPIXELS_64))) for n in range(2)]
    await world.until(lambda: len(slow.inside) == 1)
    for _ in range(50):
        await asyncio.sleep(0)
    assert slow.inside == {scene(0).image.sha256}
    slow.door.set()
    await asyncio.gather(*making)
    slow.door.clear()
    making = [asyncio.create_task(workshop.make(order(scene, n))) for n in (2, 3)]
    await world.until(lambda: len(slow.inside) == 2)
    slow.door.set()
    await asyncio.gather(*making)
