from __future__ import annotations

from typing import Any

import pytest

from augmenter.domain import Limits
from augmenter.recipe import parse_recipe
from labelstream import keys
from labelstream.errors import Misconfigured
from labelstream_datasets.archives.augmenting import Augmenting

ONE = Limits(count=1, age_s=0.05)
OTHER = parse_recipe("name: other\nvariants: [{count: 2}]\n", "other")


def tars(world: Any) -> list[str]:
    return sorted(key for key in world.blobs._objects if key.endswith(".tar"))


async def test_archives_that_somebody_collected_are_said_at_the_start(world: Any, scene: Any) -> None:
    for n in range(3):
        await world.record(f"n{n}", scene(n))
    async with world.running(ONE):
        await world.covered()
    gone = tars(world)[:2]
    for key in gone:
        await world.blobs.delete(key)
    with pytest.raises(Misconfigured, match=f"lacks 2 of 3 archives.*{gone[0]}.*another name"):
        await world.pipeline(ONE).run()
    async with world.running(ONE, recipe=OTHER):
        await world.until(lambda: sum(batch.recipe == OTHER.digest for batch in world.batches()) == 3)


async def test_the_store_is_told_which_recipe_is_at_work_before_anything_is_said(world: Any) -> None:
    key = keys.augmenting("default")
    for recipe in (world.recipe, OTHER, world.recipe):
        async with world.running(ONE, recipe=recipe):
            await world.until(lambda digest=recipe.digest: digest in str(world.blobs._objects.get(key)))
        assert Augmenting.model_validate_json((await world.blobs.get(key)).data).recipe == recipe.digest
    assert world.batches() == []


async def test_an_erasure_that_was_interrupted_is_no_loss(world: Any, scene: Any) -> None:
    await world.record("a", scene(1))
    async with world.running(ONE):
        await world.covered()
    (key,) = tars(world)
    await world.blobs.delete(key)
    await world.blobs.put(keys.forwarding(key), f'{{"archive": "{key}"}}'.encode())
    async with world.running(ONE):
        await world.record("b", scene(2))
        await world.covered()


async def test_what_an_erasure_replaced_is_looked_for_in_its_new_place(world: Any, scene: Any) -> None:
    for n in range(2):
        await world.record(f"n{n}", scene(n))
    async with world.running(Limits(count=2, age_s=0.05)):
        await world.covered()
        await world.erase("n0", images=[scene(0)])
        await world.covered()
    (key,) = tars(world)
    await world.blobs.delete(key)
    with pytest.raises(Misconfigured, match=key):
        await world.pipeline(ONE).run()
