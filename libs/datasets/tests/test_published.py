"""Lists that somebody published say which split an annotation's medium belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Misconfigured
from labelstream.values import sha256_hex
from labelstream_datasets.building.build import plan_of
from labelstream_datasets.building.published import load_published, packed, published_of
from labelstream_datasets.loading import load_description
from labelstream_datasets.options import DatasetOptions
from labelstream_datasets.splits import Ratios, split_of
from labelstream_datasets.store import store

DEALT = {
    split: [f"m{n}" for n in range(60) if split_of("default", f"m{n}", "labelstream", Ratios()) == split]
    for split in ("train", "val", "test")
}


def splits(built: Any) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in built.manifest.rows():
        found.setdefault(row.medium, set()).add(row.split)
    return found


async def test_the_media_of_listed_annotations_follow_them_and_others_are_dealt_as_ever(
    scribe: Any, archivist: Any, build_all: Any
) -> None:
    film, photo, other = DEALT["test"][0], DEALT["train"][0], DEALT["val"][0]
    for n, (name, medium) in enumerate([("a", film), ("b.JPG", photo), ("c", film), ("d", other)]):
        scribe.record(name, n, medium)
    built = await build_all(
        scribe, await archivist.answer(scribe), published={"a.png": "val", "b": "test", "nobody": "train"}
    )
    assert splits(built) == {film: {"val"}, photo: {"test"}, other: {"val"}}
    assert (built.description.published_unknown, built.description.published_left_test) == (1, 0)


async def test_two_splits_for_one_medium_are_refused_by_both_names(scribe: Any, archivist: Any, build_all: Any) -> None:
    scribe.record("a", 0, "film")
    scribe.record("b", 1, "film")
    batches = await archivist.answer(scribe)
    with pytest.raises(Misconfigured, match=r"'film'.*'a' puts it into train.*'b' into test"):
        await build_all(scribe, batches, published={"a": "train", "b": "test"})


async def test_lists_do_not_take_a_medium_out_of_the_split_that_its_producer_published(
    scribe: Any, archivist: Any, build_all: Any
) -> None:
    scribe.record("a", 0, "film", split="test")
    batches = await archivist.answer(scribe)
    with pytest.raises(Misconfigured, match="its producer puts it into test"):
        await build_all(scribe, batches, published={"a": "train"})
    assert splits(await build_all(scribe, batches, published={"a": "test"})) == {"film": {"test"}}


async def test_a_listed_image_follows_the_medium_that_it_was_first_recorded_with(
    scribe: Any, archivist: Any, build_all: Any
) -> None:
    scribe.record("first", 0, "film")
    scribe.record("copy", 0, "elsewhere")
    scribe.record("neighbour", 1, "film")
    scribe.record("stranger", 2, "elsewhere", split=None)
    built = await build_all(scribe, await archivist.answer(scribe), published={"copy": "test"})
    assert splits(built)["film"] == {"test"}
    assert splits(built)["elsewhere"] == {split_of("default", "elsewhere", "labelstream", Ratios())}


async def test_a_medium_stays_where_its_list_put_it_when_the_listed_annotation_is_deleted(
    scribe: Any, archivist: Any, build_all: Any
) -> None:
    film = DEALT["train"][0]
    scribe.record("listed", 0, film)
    scribe.record("other", 1, film)
    scribe.say("listed", "deleted")
    built = await build_all(scribe, await archivist.answer(scribe), published={"listed": "test"})
    assert splits(built) == {film: {"test"}}


async def test_a_medium_that_leaves_test_because_a_listed_annotation_came_late_is_counted(
    scribe: Any, archivist: Any, build_all: Any
) -> None:
    film = DEALT["test"][0]
    first = scribe.record("early", 0, film)
    scribe.record("listed", 1, film)
    batches = await archivist.answer(scribe)
    published = {"listed": "train"}
    then = await build_all(scribe, batches, cut=first, published=published)
    assert (splits(then), then.description.published_left_test) == ({film: {"test"}}, 0)
    assert then.description.published_unknown == 1
    now = await build_all(scribe, batches, published=published)
    assert (splits(now), now.description.published_left_test) == ({film: {"train"}}, 1)
    whole = await build_all(scribe, batches, published={**published, "early": "train"})
    assert (splits(whole), whole.description.published_left_test) == ({film: {"train"}}, 0)


async def test_lists_are_stored_beside_the_dataset_so_that_it_can_be_built_again(
    scribe: Any, archivist: Any, build_all: Any, blobs: MemoryBlobs
) -> None:
    for n in range(4):
        scribe.record(f"n{n}", n, f"m{n}")
    batches = await archivist.answer(scribe)
    published = {"n0": "test", "n1.jpg": "val"}
    built = await build_all(scribe, batches, published=published)
    description = await load_description(blobs, (await store(blobs, built)).description)
    assert description.published is not None
    assert description.published.sha256 == sha256_hex(packed(published))
    plan = plan_of(description, await load_published(blobs, description))
    again = await build_all(scribe, batches, options=plan.options, published=plan.published)
    assert again.description.id == description.id != (await build_all(scribe, batches)).description.id
    plain = await load_description(blobs, (await store(blobs, await build_all(scribe, batches))).description)
    assert (plain.published, await load_published(blobs, plain)) == (None, {})


def test_lists_are_joined_and_a_name_in_two_of_them_is_refused() -> None:
    assert published_of({"train": ["a\n", ""], "test": [" b "]}) == {"a": "train", "b": "test"}
    with pytest.raises(Misconfigured, match="'a' is listed in train and in test"):
        published_of({"train": ["a"], "test": ["a"]})


@pytest.mark.parametrize("salt", ["labelstream", "another"])
async def test_the_splits_of_producers_can_be_ignored_and_every_medium_is_dealt(
    scribe: Any, archivist: Any, build_all: Any, salt: str
) -> None:
    for n in range(12):
        scribe.record(f"n{n}", n, f"m{n % 6}", split="test")
    batches = await archivist.answer(scribe)
    kept = await build_all(scribe, batches, options=DatasetOptions(salt=salt))
    assert splits(kept) == {f"m{n}": {"test"} for n in range(6)}
    assert (kept.description.images, kept.description.published_images) == (12, 12)
    dealt = await build_all(scribe, batches, options=DatasetOptions(salt=salt, published_splits=False))
    assert splits(dealt) == {f"m{n}": {split_of("default", f"m{n}", salt, Ratios())} for n in range(6)}
    assert (dealt.description.published_images, dealt.description.listed_images) == (0, 0)


async def test_lists_stand_against_the_producer_when_it_is_ignored(scribe: Any, archivist: Any, build_all: Any) -> None:
    scribe.record("a", 0, "film", split="test")
    scribe.record("b", 1, "other", split="val")
    batches = await archivist.answer(scribe)
    options = DatasetOptions(published_splits=False, ratios=Ratios(train=0, val=0, test=1))
    built = await build_all(scribe, batches, published={"a": "train"}, options=options)
    assert splits(built) == {"film": {"train"}, "other": {"test"}}
    assert (built.description.published_images, built.description.listed_images) == (0, 1)


async def test_images_are_counted_by_who_decided_their_split(scribe: Any, archivist: Any, build_all: Any) -> None:
    scribe.record("producer's", 0, "a", split="test")
    scribe.record("listed", 1, "b")
    scribe.record("dealt", 2, "c")
    built = await build_all(scribe, await archivist.answer(scribe), published={"listed": "train"})
    assert (built.description.published_images, built.description.listed_images) == (1, 1)


async def test_annotations_whose_image_a_newer_one_shows_are_counted_and_whether_they_said_another_split(
    scribe: Any, archivist: Any, build_all: Any
) -> None:
    scribe.record("first", 0, "film", split="train")
    scribe.record("same split", 0, "film", split="train")
    scribe.record("newest", 0, "copy", split="test")  # the medium stays the first one
    scribe.record("draft", 0, "film", validated=False)
    scribe.record("deleted", 0, "film")
    scribe.say("deleted", "deleted")
    scribe.record("alone", 1, "film")
    scribe.record("later deleted", 2, "b", split="val")
    cut = scribe.record("over it", 2, "c", split="test")
    scribe.say("later deleted", "deleted")
    scribe.record("after the cut", 1, "film")
    batches = await archivist.answer(scribe, [cut])
    then = (await build_all(scribe, batches, cut=cut)).description
    assert (then.images, then.shared_images, then.shared_other_split) == (3, 3, 3)
    now = (await build_all(scribe, batches)).description
    assert (now.images, now.shared_images, now.shared_other_split) == (3, 3, 2)


async def test_an_annotation_that_said_another_split_than_the_newest_is_counted_unless_that_is_ignored(
    scribe: Any, archivist: Any, build_all: Any
) -> None:
    scribe.record("first", 0, "film", split="train")
    scribe.record("second", 0, "copy", split="test")
    scribe.record("third", 0, "film", split="train")
    batches = await archivist.answer(scribe)
    built = await build_all(scribe, batches)
    assert splits(built) == {"film": {"train"}}
    assert (built.description.shared_images, built.description.shared_other_split) == (2, 1)
    ignoring = (await build_all(scribe, batches, options=DatasetOptions(published_splits=False))).description
    assert (ignoring.shared_images, ignoring.shared_other_split) == (2, 0)
    drafts = (await build_all(scribe, batches, options=DatasetOptions(classes=("truck",), drop_empty=True))).description
    assert (drafts.images, drafts.shared_images) == (0, 0)
