"""Nothing of one source is in two splits, whatever happens; the usual way of splitting is caught by the same check."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labelstream.labels import Box
from labelstream.values import Split
from labelstream_datasets.building.build import BuiltDataset
from labelstream_datasets.options import DatasetOptions
from labelstream_datasets.splits import Ratios

NAMES, IMAGES, MEDIA = 12, 10, 6
SPLITS: tuple[Split, ...] = ("train", "val", "test")


class Sample(NamedTuple):
    """What must not be in two splits: where a sample came from, and what it shows."""

    medium: str
    image: str  # digest of the original
    sha256: str  # digest of the sample itself
    split: str


def leaks(samples: Iterable[Sample]) -> set[tuple[str, str]]:
    """Return (what, which) for every medium, original and image that is in more than one split."""
    homes: dict[tuple[str, str], set[str]] = {}
    for sample in samples:
        for what in ("medium", "image", "sha256"):
            homes.setdefault((what, getattr(sample, what)), set()).add(sample.split)
    return {one for one, splits in homes.items() if len(splits) > 1}


def samples_of(built: BuiltDataset) -> list[Sample]:
    return [Sample(row.medium, row.image, row.sha256, row.split) for row in built.manifest.rows()]


class Deed(NamedTuple):
    """Something that a producer or a validator does."""

    what: str
    name: int
    image: int
    medium: int
    validated: bool
    split: Split | None
    boxes: int


DEEDS = st.builds(
    Deed,
    what=st.sampled_from(["record"] * 4 + ["edit", "validate", "unvalidate", "delete"]),
    name=st.integers(0, NAMES - 1),
    image=st.integers(0, IMAGES - 1),
    medium=st.integers(0, MEDIA - 1),
    validated=st.sampled_from([True, True, False]),
    split=st.sampled_from([None, None, None, *SPLITS]),
    boxes=st.integers(0, 2),
)
OPTIONS = st.builds(
    DatasetOptions,
    ratios=st.sampled_from([Ratios(), Ratios(train=0.7, val=0.15, test=0.15), Ratios(train=0.4, val=0.3, test=0.3)]),
    salt=st.sampled_from(["a", "b", "c"]),
    validated_only=st.booleans(),
    published_splits=st.booleans(),
    drop_empty=st.booleans(),
    most_per_source=st.sampled_from([None, None, 1, 2]),
)


def do(scribe: Any, deed: Deed, known: set[str]) -> None:
    name = f"n{deed.name}"
    shapes = [Box(class_id=n, x=0.5, y=0.5, w=0.2, h=0.1 * (n + 1)) for n in range(deed.boxes)]
    if deed.what in ("record", "edit") or name not in known:
        outcome = "edited" if name in known else "recorded"
        scribe.record(
            name,
            deed.image,
            f"m{deed.medium}",
            outcome=outcome,
            validated=deed.validated,
            split=deed.split,
            shapes=shapes,
        )
        known.add(name)
    else:
        scribe.say(name, f"{deed.what}d", validated=deed.what == "validate")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.lists(DEEDS, min_size=1, max_size=15), min_size=1, max_size=4),
    options=OPTIONS,
    cuts=st.lists(st.integers(0, 60), max_size=4),
)
def test_nothing_of_one_source_is_in_two_splits_and_nothing_moves_while_data_grows(
    begin: Any, steps: list[list[Deed]], options: DatasetOptions, cuts: list[int]
) -> None:
    async def grow() -> None:
        with begin() as world:
            await world.keep_images(range(IMAGES))
            known: set[str] = set()
            homes: dict[str, str] = {}
            for step in steps:
                for deed in step:
                    do(world.scribe, deed, known)
                samples = samples_of(await world.build(cuts, options=options))
                assert leaks(samples) == set()
                now = {sample.image: sample.split for sample in samples}
                assert {image: homes.setdefault(image, split) for image, split in now.items()} == now

    asyncio.run(grow())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.lists(DEEDS, min_size=1, max_size=15), min_size=1, max_size=3),
    options=OPTIONS,
    listed=st.sets(st.integers(0, NAMES - 1), min_size=1),
    split=st.sampled_from(SPLITS),
)
def test_published_lists_leak_nothing_and_what_they_take_out_of_test_is_said(
    begin: Any, steps: list[list[Deed]], options: DatasetOptions, listed: set[int], split: Split
) -> None:
    published = {f"n{n}": split for n in listed}

    async def grow() -> None:
        with begin() as world:
            await world.keep_images(range(IMAGES))
            known: set[str] = set()
            tested: set[str] = set()
            for step in steps:
                for deed in step:
                    do(world.scribe, deed._replace(split=None), known)
                built = await world.build(options=options, published=published)
                samples = samples_of(built)
                assert leaks(samples) == set()
                left = {sample.medium for sample in samples if sample.image in tested and sample.split != "test"}
                assert len(left) <= built.description.published_left_test
                tested |= {sample.image for sample in samples if sample.split == "test"}

    asyncio.run(grow())


@pytest.fixture
def all_in_one_split(begin: Any) -> list[Sample]:
    """Augmented samples of 60 images of 20 media."""

    async def recorded() -> list[Sample]:
        with begin() as world:
            for n in range(60):
                world.scribe.record(f"n{n}", n, f"m{n // 3}")
            assert leaks(samples_of(await world.build())) == set()
            everything = DatasetOptions(ratios=Ratios(train=1, val=0, test=0))
            return samples_of(await world.build(options=everything))

    return asyncio.run(recorded())


@given(seed=st.integers(0, 2**32))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_check_finds_the_leak_of_a_plain_shuffle_of_augmented_samples(
    all_in_one_split: list[Sample], seed: int
) -> None:
    samples = list(all_in_one_split)
    random.Random(seed).shuffle(samples)
    splits = ["train" if n % 10 < 7 else "val" if n % 10 < 9 else "test" for n in range(len(samples))]
    shuffled = [sample._replace(split=split) for sample, split in zip(samples, splits, strict=True)]
    found = leaks(shuffled)
    in_test = {sample.image for sample in shuffled if sample.split == "test"}
    assert len({which for what, which in found if what == "image"} & in_test) > len(in_test) / 2
    assert any(what == "medium" for what, _ in found)
