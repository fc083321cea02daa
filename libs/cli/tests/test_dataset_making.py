"""What `labelstream dataset build` makes of what a person asks for, on doubles of broker and store."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Misconfigured
from labelstream.events.base import (
    ANNOTATION_EVENTS,
    BATCH_EVENTS,
    MODEL_EVENTS,
    SERVING_EVENTS,
    TRAINING_EVENTS,
)
from labelstream.service.health import Health
from labelstream.streams.memory import MemoryBroker
from labelstream_cli.datasets.build_view import show_made
from labelstream_cli.datasets.catalogue import chosen, forget
from labelstream_cli.datasets.dry import ReadOnly
from labelstream_cli.datasets.making import Made, Wanted, make, options_of
from labelstream_cli.datasets.place import Place
from labelstream_cli.datasets.reading import streams
from labelstream_cli.reaching import not_told
from labelstream_cli.running import CommandFailed
from labelstream_cli.tracing import trace
from labelstream_cli.tracing.view import show_life
from labelstream_datasets.options import DatasetOptions

from .dataset_world import NEW, OLD, SCHEMA, TRAIN, World


@pytest.fixture
async def world(tmp_path: Path) -> World:
    broker = MemoryBroker()
    place = Place("default", broker, MemoryBlobs(), tmp_path / "cache", Health(), not_told)
    for stream in (ANNOTATION_EVENTS, BATCH_EVENTS):
        await broker.ensure_stream(stream)
    await place.blobs.put(keys.class_schema("default"), SCHEMA.model_dump_json().encode())
    return World(place)


def names(made: Made) -> set[str]:
    return {row.name for row in made.built.manifest.rows()}


def shown(made: Made) -> str:
    out = io.StringIO()
    show_made(made, Console(file=out, width=100, highlight=False))
    return out.getvalue()


async def test_everything_that_is_augmented_is_taken(world: World) -> None:
    offsets = {n: await world.record(n) for n in range(3)}
    await world.augment(offsets)
    late = await world.record(9)
    made = await world.make()
    assert names(made) == {"n0", "n1", "n2"}
    assert (made.built.description.cut.offset, made.end) == (offsets[2], late)
    assert f"{late - offsets[2]} later event" in shown(made)


async def test_a_dataset_is_kept_under_its_name(world: World) -> None:
    await world.augment({0: await world.record(0)})
    made = await world.make(name="baseline")
    stored = await chosen(world.place, made.built.description.id[:6])
    assert stored.kept is not None
    assert stored.kept.name == "baseline"
    assert "kept as baseline" in shown(made)
    again = await world.make()
    assert (again.existed, again.as_json()["name"]) == (True, "baseline")
    assert "existed already" in shown(again)


async def test_a_dry_run_writes_nothing(world: World) -> None:
    await world.augment({0: await world.record(0)})
    before = [info.key async for info in world.place.blobs.list("")]
    made = await world.make(dry_run=True)
    assert [info.key async for info in world.place.blobs.list("")] == before
    assert (made.kept, made.as_json()["stored"]) == (None, False)
    assert "Nothing was stored" in shown(made)


async def test_a_past_offset_takes_the_recipe_of_then(world: World) -> None:
    offsets = {n: await world.record(n) for n in range(2)}
    await world.augment({0: offsets[0]})
    await world.augment({1: offsets[1]})
    then = await world.make()
    await world.augment(offsets, NEW)
    assert (await world.make()).built.description.recipe == NEW
    again = await world.make(at=offsets[1])
    assert (again.built.description.recipe, again.built.description.id) == (OLD, then.built.description.id)
    assert (await world.make(at=offsets[1], recipe="newest")).built.description.recipe == NEW
    assert (await world.make(recipe="aaaa")).built.description.recipe == OLD


@pytest.mark.parametrize("dry_run", [True, False], ids=["dry run", "for good"])
async def test_a_dataset_whose_archives_were_collected_is_refused_and_not_stored(world: World, dry_run: bool) -> None:
    offsets = {0: await world.record(0)}
    await world.augment(offsets)
    await world.augment(offsets, NEW)
    (archive,) = {row.archive for row in (await world.make(recipe="aaaa", dry_run=True)).built.manifest.rows()}
    await world.place.blobs.delete(archive)
    await world.place.blobs.put(keys.collected(archive), b"{}")
    before = [info.key async for info in world.place.blobs.list("")]
    with pytest.raises(CommandFailed, match=f"1 archive of the 1 .* removed by `labelstream gc`, such as {archive}"):
        await world.make(recipe="aaaa", dry_run=dry_run)
    assert [info.key async for info in world.place.blobs.list("")] == before
    assert (await world.make()).built.description.recipe == NEW


async def test_archives_that_an_erasure_rewrote_are_not_gone(world: World) -> None:
    await world.augment({0: await world.record(0)})
    (archive,) = {row.archive for row in (await world.make(dry_run=True)).built.manifest.rows()}
    await world.place.blobs.delete(archive)
    await world.place.blobs.put(keys.forwarding(archive), b"{}")
    assert (await world.make()).kept is not None


async def test_a_command_waits_for_another_one_that_reads_the_same_and_can_be_interrupted(world: World) -> None:
    await world.augment({0: await world.record(0)})
    async with streams(world.place):
        waiting = asyncio.create_task(world.make())
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
        interrupted = asyncio.create_task(world.make())
        await asyncio.sleep(0)
        interrupted.cancel()
        with pytest.raises(asyncio.CancelledError):
            await interrupted
    assert (await waiting).kept is not None


async def test_a_recipe_that_nobody_used_is_answered_with_those_that_were(world: World) -> None:
    await world.augment({0: await world.record(0)})
    with pytest.raises(CommandFailed, match=OLD[:12]):
        await world.make(recipe="cccc")


async def test_an_offset_that_is_not_there_or_not_augmented_is_refused(world: World) -> None:
    first = await world.record(0)
    with pytest.raises(CommandFailed, match="nothing of the project default is augmented yet"):
        await world.make()
    await world.augment({0: first})
    last = await world.record(1)
    with pytest.raises(CommandFailed, match=f"augmented up to offset {first}, not yet up to {last}"):
        await world.make(at=last)
    with pytest.raises(CommandFailed, match=f"ends at offset {last}"):
        await world.make(at=last + 5)


async def test_nothing_annotated_and_an_unknown_project_are_told_apart(world: World) -> None:
    with pytest.raises(CommandFailed, match="nothing is annotated yet"):
        await world.make()
    with pytest.raises(CommandFailed, match="nothing is known of the project harbour"):
        await make(replace(world.place, project="harbour"), Wanted(TRAIN))


async def test_a_dataset_with_nothing_in_it_is_refused(world: World) -> None:
    await world.augment({1: await world.record(1)})
    options = DatasetOptions(classes=("car",), drop_empty=True)
    with pytest.raises(CommandFailed, match=r"would be empty.*only car"):
        await world.make(options=options)


async def test_images_that_lack_are_counted_by_reason_and_named(world: World) -> None:
    offsets = {n: await world.record(n) for n in range(4)}
    await world.augment(offsets, refused=(1, 3))
    made = await world.make()
    (missing,) = made.missing
    assert (missing.reason, missing.images, missing.names) == ("the image is torn", 2, ("n1", "n3"))
    assert "2 × the image is torn (n1, n3)" in shown(made)


async def test_near_duplicates_in_different_splits_are_shown(world: World) -> None:
    offsets = {n: await world.record(n) for n in range(2)}
    await world.augment(offsets)
    made = await world.make(published={"n0": "train", "n1": "test"})
    assert made.near.across == 1
    text = shown(made)
    assert "1 pair of near duplicates in different splits" in text
    assert "n0 (train)" in text
    assert "n1 (test)" in text
    assert "splits by published lists" in text


async def test_who_decided_the_splits_is_told(world: World) -> None:
    offsets = {n: await world.record(n, "val") for n in range(3)}
    await world.augment(offsets)
    made = await world.make()
    text = " ".join(shown(made).split())
    assert "3 of 3 images have the split that their producer published; the ratios apply to 0" in text
    assert made.as_json()["description"]["published_images"] == 3
    ignored = await world.make(options=DatasetOptions(ratios="100/0/0", published_splits=False))
    assert {row.split for row in ignored.built.manifest.rows()} == {"train"}
    assert "that their producer published" not in shown(ignored)
    assert "producers' splits ignored" in shown(ignored)


async def test_annotations_that_show_the_image_of_a_newer_one_are_told(world: World) -> None:
    await world.record(0, "val", "earlier")
    await world.augment({0: await world.record(0, "test")})
    made = await world.make()
    assert made.built.description.shared_images == 1
    assert (
        "1 annotation not taken: a newer one shows the same image; 1 of them published for another split"
        in " ".join(shown(made).split())
    )


async def test_images_without_boxes_are_told(world: World) -> None:
    offsets = {n: await world.record(n) for n in range(3)}
    await world.augment(offsets)
    some = shown(await world.make(options=DatasetOptions(classes=("car",), ratios="100/0/0")))
    assert "1 image has no box left: --drop-empty leaves them out" in some
    assert "no image of it has a box" not in some
    assert "no image of it has a box" in shown(await world.make(options=DatasetOptions(min_box_area_percent=50)))
    assert "no box" not in shown(await world.make())


async def test_near_duplicates_are_told_among_the_images_that_have_a_hash(world: World) -> None:
    offsets = {n: await world.record(n) for n in range(3)}
    await world.augment(offsets, unhashed=(2,))
    text = " ".join(shown(await world.make()).split())
    assert "no near duplicates in different splits among the 2 images that have a hash; 1 without" in text


async def test_the_table_says_what_its_columns_count(world: World) -> None:
    await world.augment({0: await world.record(0)})
    text = " ".join(shown(await world.make()).split())
    assert "counted on originals; samples with their variants" in text


async def test_an_unknown_class_is_answered_with_one_like_it(world: World) -> None:
    await world.augment({0: await world.record(0)})
    with pytest.raises(Misconfigured, match="did you mean truck"):
        await world.make(options=DatasetOptions(classes=("trucks",)))


async def test_what_was_read_is_not_read_again(world: World) -> None:
    await world.augment({0: await world.record(0)})
    heard: list[tuple[str, int]] = []

    def tell(what: str, done: int, _total: int) -> None:
        heard.append((what, done))

    place = replace(world.place, tell=tell)
    async with streams(place) as read:
        assert read.view.entry("default", "n0") is not None
    assert (ANNOTATION_EVENTS, 1) in heard
    heard.clear()
    async with streams(place) as read:
        assert read.view.entry("default", "n0") is not None
    assert ANNOTATION_EVENTS not in dict(heard)
    await world.record(1)
    async with streams(place) as read:
        assert read.view.entry("default", "n1") is not None


async def test_a_view_of_another_stream_is_thrown_away(world: World) -> None:
    await world.augment({0: await world.record(0)})
    async with streams(world.place):
        pass
    assert isinstance(world.place.broker, MemoryBroker)
    world.place.broker.delete(ANNOTATION_EVENTS)
    await world.record(7)
    async with streams(world.place) as read:
        assert read.view.entry("default", "n0") is None
        assert read.view.entry("default", "n7") is not None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ratios": "70/20"}, "--ratios: '70/20' is not three shares"),
        ({"ratios": "-1/50/51"}, "--ratios: '-1/50/51' has the share -1"),
        ({"min_box_area_percent": 120.0}, "--min-box"),
        ({"merge": {"van": "truck", "truck": "lorry"}}, "'truck' is merged into another class"),
    ],
    ids=["ratios", "negative", "min box", "merge"],
)
def test_an_option_that_can_not_be_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        options_of(given)


def test_options_that_were_not_given_are_the_defaults() -> None:
    assert options_of({"ratios": None, "classes": None, "drop_empty": None}) == DatasetOptions()


async def test_a_store_that_is_only_read_takes_nothing(tmp_path: Path) -> None:
    behind = MemoryBlobs()
    await behind.put("there", b"content")
    only = ReadOnly(behind)
    assert await only.create("there", b"other") is None
    assert await only.create("new", b"other") is not None
    await only.put("there", b"other")
    await only.delete("there")
    (tmp_path / "file").write_bytes(b"other")
    await only.upload(tmp_path / "file", "there")
    await only.replace("there", b"other", "etag")
    assert (await only.get("there")).data == b"content"
    assert [info.key async for info in only.list("")] == ["there"]
    await only.download("there", tmp_path / "down")
    assert (tmp_path / "down").read_bytes() == await only.get_range("there", 0, 7)


@pytest.mark.parametrize("forgotten", [False, True], ids=["kept", "not kept"])
async def test_an_annotation_is_traced_into_a_dataset_that_was_built_by_hand(world: World, *, forgotten: bool) -> None:
    await world.augment({number: await world.record(number) for number in range(3)})
    made = await world.make(name="baseline")
    if forgotten:
        await forget(world.place.blobs, "default", made.built.description.id)
    for stream in (TRAINING_EVENTS, MODEL_EVENTS, SERVING_EVENTS):
        await world.place.broker.ensure_stream(stream)
    life = await trace(world.place.broker, world.place.blobs, "default", "n1")
    assert life.datasets == [made.built.description.id]
    assert life.built == {made.built.description.id: "2 images of revision 1 in train"}
    console = Console(width=100, file=io.StringIO())
    show_life(life, console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO from above
    assert "in 1 dataset and no models" in shown
    assert f"dataset {life.datasets[0][:12]}: 2 images of revision 1 in train; nothing was trained on it" in shown


async def test_a_recipe_s_name_is_answered_with_the_digests_that_there_are(world: World) -> None:
    await world.augment({0: await world.record(0)})
    with pytest.raises(CommandFailed, match=rf"{OLD[:12]} \(up to offset 0\).*first digits of its digest"):
        await world.make(recipe="weather")
