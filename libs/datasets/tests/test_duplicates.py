from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelstream.values import SPLITS, Split, sha256_hex
from labelstream_datasets.checking.duplicates import CROWD, near_duplicates
from labelstream_datasets.manifest import Manifest, Row


def row(number: int, split: Split, phash: int | None, variant: int = 0) -> Row:
    return Row(
        image=sha256_hex(f"image {number}".encode()),
        labels="b" * 64,
        recipe="a" * 64,
        variant=variant,
        split=split,
        name=f"n{number:04}",
        medium=f"m{number}",
        archive="default/archives/a.tar",
        archive_sha256="c" * 64,
        archive_bytes=1,
        path=f"{number}_{variant}.jpg",
        boxes=1,
        sha256="d" * 64,
        phash=None if phash is None else f"{phash:016x}",
    )


def flipped(phash: int, *bits: int) -> int:
    for bit in bits:
        phash ^= 1 << bit
    return phash


LOOK = 0x0123456789ABCDEF


def test_images_that_look_alike_in_different_splits_are_listed_the_nearest_first() -> None:
    rows = [row(1, "train", LOOK), row(2, "test", flipped(LOOK, 3, 40)), row(3, "val", flipped(LOOK, 63))]
    found = near_duplicates(Manifest.of([*rows, row(4, "test", ~LOOK & (2**64 - 1))]), most_bits=2)
    listed = [(pair.bits, {pair.first.name, pair.second.name}) for pair in found.pairs]
    assert listed == [(1, {"n0001", "n0003"}), (2, {"n0001", "n0002"})]
    assert (found.images, found.across, found.within) == (4, 2, 0)
    assert found.touched == {"train": 1, "val": 1, "test": 1}


def test_images_that_look_alike_in_one_split_are_counted() -> None:
    found = near_duplicates(Manifest.of([row(n, "train", flipped(LOOK, n)) for n in range(5)]), most_bits=2)
    assert (found.across, found.within, found.pairs) == (0, 10, ())
    assert not any(found.touched.values())


def test_variants_and_images_without_a_hash_are_not_compared() -> None:
    rows = [row(1, "train", LOOK), row(1, "train", LOOK, variant=1), row(2, "test", None), row(3, "val", None)]
    found = near_duplicates(Manifest.of(rows))
    assert (found.images, found.without_hash, found.across, found.within) == (1, 2, 0, 0)


def test_a_manifest_from_before_the_hashes_says_that_nothing_could_be_compared() -> None:
    manifest = Manifest.of([row(1, "train", LOOK), row(2, "test", LOOK)])
    manifest.table = manifest.table.drop_columns(["phash"])
    found = near_duplicates(manifest)
    assert (found.images, found.without_hash, found.across) == (0, 2, 0)


def test_many_flat_images_are_one_crowd_and_a_few_lines() -> None:
    rows = [row(n, SPLITS[n % 3], 0) for n in range(3000)]
    found = near_duplicates(Manifest.of([*rows, row(4000, "train", LOOK)]))
    assert found.across == 3 * 1000 * 1000
    assert found.within == 3 * 1000 * 999 // 2
    assert [(pair.bits, pair.pairs) for pair in found.pairs] == [(0, 1_000_000)] * 3
    assert [(crowd.phash, crowd.images) for crowd in found.crowds] == [
        ("0" * 16, {"train": 1000, "val": 1000, "test": 1000})
    ]
    assert CROWD < 3000


def test_the_listing_ends_where_it_is_told_to_and_the_counts_do_not() -> None:
    looks = [LOOK ^ (n << 12) for n in range(50)]
    rows = [row(n, "train", look) for n, look in enumerate(looks)]
    rows += [row(100 + n, "test", flipped(look, 0)) for n, look in enumerate(looks)]
    found = near_duplicates(Manifest.of(rows), most_bits=1, most_listed=7)
    assert (len(found.pairs), found.across) == (7, 50)


@given(st.integers(0, 2**32), st.integers(0, 12))
def test_the_counts_are_those_of_comparing_all_with_all(seed: int, most_bits: int) -> None:
    rng = random.Random(seed)
    centres = [rng.getrandbits(64) for _ in range(3)]
    rows = [
        row(n, rng.choice(SPLITS), flipped(rng.choice(centres), *rng.sample(range(64), rng.randrange(6))))
        for n in range(40)
    ]
    near = [
        (one.split, other.split)
        for one, other in itertools.combinations(rows, 2)
        if (int(one.phash or "", 16) ^ int(other.phash or "", 16)).bit_count() <= most_bits
    ]
    found = near_duplicates(Manifest.of(rows), most_bits, most_listed=1000)
    assert found.across == sum(one != other for one, other in near)
    assert found.within == sum(one == other for one, other in near)
    assert sum(pair.pairs for pair in found.pairs) == found.across
    assert all(pair.first.split != pair.second.split and pair.bits <= most_bits for pair in found.pairs)


@pytest.mark.parametrize("shuffled", [1, 2])
def test_the_answer_does_not_depend_on_the_order_of_the_rows(shuffled: int) -> None:
    rows = [row(n, SPLITS[n % 3], flipped(LOOK, n % 5)) for n in range(30)]
    before = near_duplicates(Manifest.of(rows))
    random.Random(shuffled).shuffle(rows)
    assert near_duplicates(Manifest.of(rows)) == before


def test_no_image_is_nothing_to_compare() -> None:
    found = near_duplicates(Manifest.of([]))
    assert (found.images, found.across, found.pairs, found.crowds) == (0, 0, (), ())
