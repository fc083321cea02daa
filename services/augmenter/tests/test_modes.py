"""Samples carry the modes of their classes, when the recipe follows modes."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from typing import Any

from augmenter.domain import Limits, archive_digest, modes_of
from augmenter.recipe import parse_recipe
from labelstream.classes import ClassSchema
from labelstream.schemas.recorded import record_schema

FOLLOWING = parse_recipe(
    "name: winter\nfollow_modes: true\nvariants: [{count: 1, mode: Wint, transforms: [{kind: flip, p: 1}]}]\n", "w"
)
SCHEMA = ClassSchema(name="cars", classes=("car", "truck", "bus", "Car(Wint)", "Truck(Wint)", "Car(Night)"))
ONE = Limits(count=1, age_s=0.05)


def test_a_sample_carries_what_concerns_its_own_classes(scene: Any) -> None:
    assert modes_of(scene(0).shapes, SCHEMA.modes()) == ((0, "night", 5), (0, "wint", 3))
    assert modes_of(scene(1).shapes, SCHEMA.modes()) == ((1, "wint", 4),)
    assert modes_of(scene(2).shapes, SCHEMA.modes()) == ()


def test_modes_are_part_of_an_archives_name_where_there_are_any(scene: Any) -> None:
    plain = scene(1).sample()
    assert archive_digest([plain], "r") != archive_digest([replace(plain, modes=((1, "wint", 4),))], "r")


async def test_a_recipe_that_follows_modes_renames_the_classes_of_its_variants(world: Any, scene: Any) -> None:
    await record_schema(world.blobs, "default", SCHEMA)
    for n in range(3):
        await world.record(f"n{n}", scene(n))
    async with world.running(ONE, recipe=FOLLOWING):
        await world.covered()
    labels = [
        {name: text.split()[0] for name, text in _labels(world, batch.archive.key).items()} for batch in world.batches()
    ]
    assert [sorted(one.values()) for one in labels] == [["0", "3"], ["1", "4"], ["2", "2"]]


def _labels(world: Any, key: str) -> dict[str, str]:
    data = world.blobs._objects[key][0]
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {entry.name: tar.extractfile(entry).read().decode() for entry in tar if entry.name.endswith(".txt")}  # type: ignore[union-attr]
