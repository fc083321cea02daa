from __future__ import annotations

import io
import random

import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from labelstream.values import sha256_hex
from labelstream_datasets.manifest import IDENTITY, Manifest, Row


def row(number: int, variant: int = 0, **other: object) -> Row:
    image = sha256_hex(f"image {number}".encode())
    plain = Row(
        image=image,
        labels=sha256_hex(f"labels {number}".encode()),
        recipe="a" * 64,
        variant=variant,
        split="test" if number % 5 == 0 else "train",
        name=f"n{number}",
        medium=f"m{number // 3}",
        archive=f"default/archives/{number // 4}.tar",
        archive_sha256=sha256_hex(b"archive"),
        archive_bytes=5 << 32,
        path=f"{image[:16]}_{variant}.jpg",
        boxes=number % 7,
        sha256=sha256_hex(f"{number} {variant}".encode()),
    )
    return plain._replace(**other)  # type: ignore[arg-type]


ROWS = [row(n, variant) for n in range(30) for variant in range(3)]


@given(st.randoms(use_true_random=False))
def test_the_id_does_not_depend_on_the_order_of_the_rows(shuffled: random.Random) -> None:
    rows = list(ROWS)
    shuffled.shuffle(rows)
    assert Manifest.of(rows).id == Manifest.of(ROWS).id


def test_the_id_follows_each_identity_column_and_no_other() -> None:
    before = Manifest.of(ROWS).id
    other = {"image": "b" * 64, "labels": "b" * 64, "recipe": "b" * 64, "variant": 9, "split": "val"}
    side = {
        "name": "x",
        "medium": "x",
        "archive": "x",
        "archive_sha256": "x",
        "path": "x",
        "boxes": 99,
        "sha256": "x",
        "phash": "x",
    }
    for field, value in other.items():
        assert Manifest.of([*ROWS[:-1], ROWS[-1]._replace(**{field: value})]).id != before
    for field, value in side.items():
        assert Manifest.of([*ROWS[:-1], ROWS[-1]._replace(**{field: value})]).id == before
    assert set(other) == set(IDENTITY)


def test_a_manifest_comes_back_from_parquet_as_it_was() -> None:
    manifest = Manifest.of(ROWS)
    again = Manifest.from_parquet(manifest.to_parquet())
    assert again.id == manifest.id
    assert sorted(again.rows()) == sorted(ROWS)
    assert again.to_parquet() == manifest.to_parquet()


def test_rows_can_be_had_by_split_and_by_archive() -> None:
    manifest = Manifest.of(ROWS)
    assert sorted(manifest.rows(["test"])) == sorted(r for r in ROWS if r.split == "test")
    assert len(manifest.only(["train", "test"])) == len(ROWS)
    groups = list(manifest.by_archive())
    assert [len({r.archive for r in group}) for group in groups] == [1] * 8
    assert sorted(r for group in groups for r in group) == sorted(ROWS)


def test_an_empty_manifest_is_a_manifest() -> None:
    empty = Manifest.of([])
    assert (len(empty), list(empty.rows()), list(empty.by_archive())) == (0, [], [])
    assert Manifest.from_parquet(empty.to_parquet()).id == empty.id


def test_a_manifest_of_earlier_times_has_no_perceptual_hashes() -> None:
    sink = io.BytesIO()
    pq.write_table(Manifest.of(ROWS).table.drop_columns(["phash"]), sink)
    again = Manifest.from_parquet(sink.getvalue())
    assert again.id == Manifest.of(ROWS).id
    assert {r.phash for r in again.rows()} == {None}


def test_a_sample_may_have_a_perceptual_hash_and_its_neighbour_none() -> None:
    mixed = [r._replace(phash=f"{n:016x}" if n % 2 else None) for n, r in enumerate(ROWS)]
    again = Manifest.from_parquet(Manifest.of(mixed).to_parquet())
    assert {(r.image, r.variant, r.phash) for r in again.rows()} == {(r.image, r.variant, r.phash) for r in mixed}
