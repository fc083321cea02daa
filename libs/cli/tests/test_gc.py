"""What `labelstream gc` would remove, and when it refuses."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from rstream.exceptions import StreamDoesNotExist

from labelstream import keys
from labelstream.errors import Unavailable
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS, MODEL_EVENTS, TRAINING_EVENTS
from labelstream.events.batch import BatchAugmented, Range, Rewritten
from labelstream.events.envelope import PREFIX
from labelstream.events.model import ModelPromoted, ModelRefused, ModelWithdrawn
from labelstream.events.training import TrainingFailed
from labelstream.streams.amqp import encode
from labelstream.streams.memory import MemoryBroker
from labelstream.streams.message import Message
from labelstream.values import FileRef, Position
from labelstream_cli.gc.ages import age, parse_age
from labelstream_cli.running import CommandFailed
from labelstream_datasets.archives.augmenting import Augmenting
from labelstream_datasets.description import MANIFEST

from .gc_world import FILE, NEW, OLD, WEEK, World


@pytest.fixture
async def world() -> World:
    world = World()
    await world.ensure()
    return world


async def test_an_image_that_no_receipt_names_goes_after_the_grace_time(world: World) -> None:
    recorded, orphan = await world.record(1), await world.image(2)
    await world.batch(NEW, ["x"])
    assert await world.going() == {}
    assert (await world.look()).plan.young.objects == 1
    world.pass_days(8)
    assert await world.going() == {orphan: "image.unnamed"}
    assert recorded in await world.keys()
    assert (await world.look(timedelta(days=9))).plan.candidates == ()


async def test_an_erased_image_that_came_back_with_a_refused_message_goes_and_one_recorded_again_stays(
    world: World,
) -> None:
    for number in (1, 2):
        await world.record(number)
        await world.erase(number)
    await world.record(2)
    world.pass_days(8)
    assert await world.going() == {world.image_ref(1).key: "image.unnamed"}


async def test_archives_of_the_recipe_in_use_stay_and_unnamed_ones_go(world: World) -> None:
    await world.record(1)
    await world.batch(NEW, ["named", "named too"])
    unnamed = (await world.archive("unnamed")).key
    world.pass_days(8)
    assert await world.going() == {unnamed: "archive.unnamed"}


async def test_archives_of_an_older_recipe_stay_only_for_a_kept_dataset(world: World) -> None:
    await world.record(1)
    first, second = await world.batch(OLD, ["first", "second"])
    await world.batch(NEW, ["new"])
    await world.model("m", await world.dataset("kept", [first]))
    await world.dataset("nobody's", [second])
    world.pass_days(8)
    assert await world.going() == {second: "archive.older_recipe"}
    (candidate,) = (await world.look()).plan.candidates
    assert candidate.why.recipe == OLD


async def test_an_older_recipe_stays_until_the_new_one_has_caught_up_and_the_grace_time_is_over(world: World) -> None:
    for number in range(4):
        await world.record(number)
    await world.batch(OLD, ["old"], last=3)
    await world.batch(NEW, ["new"], last=1)
    world.pass_days(8)
    assert await world.going() == {}
    await world.batch(NEW, [], last=3)
    assert list((await world.going()).values()) == ["archive.older_recipe"]


async def test_two_recipes_that_are_used_side_by_side_both_stay(world: World) -> None:
    await world.record(1)
    await world.batch(OLD, ["old"])
    await world.batch(NEW, ["new"])
    for key in [key for key in await world.keys() if "/archives/" in key]:
        await world.blobs.put(key, b"x")
    world.pass_days(6)
    (found,) = await world.survey(timedelta(days=6)).look()  # the events are six days old, no younger
    assert found.plan.candidates == ()


@pytest.mark.parametrize("told_by", ["event", "note"])
async def test_what_took_the_place_of_a_rewritten_archive_counts(world: World, told_by: str) -> None:
    await world.record(1)
    (old,) = await world.batch(OLD, ["before"])
    dataset = await world.dataset("d", [old])
    await world.model("m", dataset)
    by = await world.archive("after")
    rewritten = Rewritten(archive=old, by=by)
    await world.blobs.put(keys.forwarding(old), rewritten.model_dump_json().encode())
    await world.blobs.delete(old)
    await world.batch(NEW, [], rewritten=[rewritten] if told_by == "event" else [])
    world.pass_days(8)
    assert await world.going() == {}
    await world.say(ModelWithdrawn(model="m", reason="worse"))
    assert await world.going() == {by.key: "archive.older_recipe"}


async def test_trainings_and_marks_keep_datasets(world: World) -> None:
    await world.record(1)
    archives = await world.batch(OLD, ["a", "b", "c", "d", "e"])
    await world.batch(NEW, ["new"])
    running, waiting, refused, failed, by_hand = [
        await world.dataset(f"d{number}", [key]) for number, key in enumerate(archives)
    ]
    await world.train("running", running, finish=False)
    place = Position(stream="training-events", offset=await world.train("waiting", waiting))
    await world.say(ModelRefused(model="r", input=place, job="waiting", rule="r", reason="r", format="onnx-int8"))
    place = Position(stream="training-events", offset=await world.train("refused", refused))
    await world.say(ModelRefused(model="r", input=place, job="refused", rule="r", reason="r"))
    await world.train("failed", failed, finish=False)
    await world.say(TrainingFailed(job="failed", attempt=1, rule="r", reason="r"))
    await world.blobs.put(keys.dataset("default", by_hand.id, "kept"), b"{}")
    world.pass_days(8)
    assert set(await world.going()) == {archives[2], archives[3]}
    kept = (await world.look()).kept.reasons
    assert kept[running.id] == "the training running is not over"
    assert kept[waiting.id] == "the training waiting waits for its model"
    assert "forget" in kept[by_hand.id]
    await world.blobs.delete(keys.dataset("default", by_hand.id, "kept"))
    await world.dataset("new", [archives[2]])
    assert set(await world.going()) == {archives[3], archives[4]}


async def test_a_number_of_models_can_be_kept_and_the_promoted_one_always_is(world: World) -> None:
    await world.record(1)
    archives = await world.batch(OLD, ["a", "b", "c", "d"])
    await world.batch(NEW, ["new"])
    for number, key in enumerate(archives):
        await world.model(f"m{number}", await world.dataset(f"d{number}", [key]))
    await world.say(
        ModelPromoted(model="m0", number=1, manifest=FILE, signature=FILE, statement="", statement_signature="",
                      reason="r")
    )  # fmt: skip
    await world.say(ModelWithdrawn(model="m3", reason="r"))
    world.pass_days(8)
    assert set(await world.going()) == {archives[3]}
    assert set(await world.going(keep_models=1)) == {archives[1], archives[3]}
    assert set(await world.going(keep_models=0)) == set(archives[1:])
    assert set(await world.going(keep_models=99)) == {archives[3]}


async def test_what_one_project_needs_keeps_nothing_of_another(world: World) -> None:
    other = World(clock=world.clock, broker=world.broker, project="default-too")
    other.blobs = world.blobs
    key = await other.record(1)
    orphan = await world.image(1)
    await world.record(2)
    world.pass_days(8)
    assert await world.going() == {orphan: "image.unnamed"}
    assert await other.going() == {}
    assert key in await world.keys()


# ---- a stack without trainer and exporter


class LackingBroker(MemoryBroker):
    """Says that a stream is not there as the adapter of RabbitMQ does."""

    async def first_offset(self, stream: str) -> int | None:
        try:
            return await super().first_offset(stream)
        except Unavailable as error:
            raise error from StreamDoesNotExist()


async def _without(*streams: str) -> World:
    world = World(broker=LackingBroker())
    for stream in {ANNOTATION_EVENTS, BATCH_EVENTS, TRAINING_EVENTS, MODEL_EVENTS} - set(streams):
        await world.broker.ensure_stream(stream)
    await world.record(1)
    return world


@pytest.mark.parametrize("lacking", [(MODEL_EVENTS, TRAINING_EVENTS), (MODEL_EVENTS,)], ids=["both", "one"])
async def test_what_nothing_needs_goes_where_nobody_trains_but_no_dataset_loses_an_archive(
    lacking: tuple[str, ...],
) -> None:
    world = await _without(*lacking)
    first, second = await world.batch(OLD, ["first", "second"])
    await world.batch(NEW, ["new"])
    needing = await world.dataset("nobody's, as far as is known", [first])
    orphan = await world.image(2)
    world.pass_days(8)
    assert await world.going() == {orphan: "image.unnamed", second: "archive.older_recipe"}
    found = await world.look()
    assert [note.split(":")[0] for note in found.notes] == [f"there is no stream {stream}" for stream in lacking]
    assert "nobody can tell" in found.kept.reasons[needing.id]
    for stream in lacking:
        await world.broker.ensure_stream(stream)
    assert first in await world.going()
    assert (await world.look()).notes == ()


async def test_a_stream_that_lacks_though_a_job_left_files_is_a_doubt() -> None:
    world = await _without(MODEL_EVENTS)
    await world.image(2)
    await world.blobs.put("default/jobs/j/attempts/0001/weights.pt", b"weights")
    world.pass_days(8)
    plan = (await world.look()).plan
    assert plan.candidates == ()
    assert "there is no stream model-events: exporter makes it" in plan.doubts[0]
    assert "default/jobs/ has files" in plan.doubts[0]


async def test_a_dataset_that_comes_to_be_needed_when_the_streams_appear_keeps_its_archives() -> None:
    world = await _without(MODEL_EVENTS, TRAINING_EVENTS)
    (old,) = await world.batch(OLD, ["old"])
    await world.batch(NEW, ["new"])
    needing = await world.dataset("needed", [old])
    orphan = await world.image(2)
    world.pass_days(8)
    survey = world.survey()
    await survey.look()
    for stream in (MODEL_EVENTS, TRAINING_EVENTS):
        await world.broker.ensure_stream(stream)
    await world.model("m", needing)
    roots, doubts = await survey.roots("default")
    assert doubts == ()
    assert roots.why_not(old) is None
    assert roots.why_not(orphan) is not None


# ---- doubts


async def _evict(world: World) -> None:
    world.broker.evict(ANNOTATION_EVENTS, 1)


async def _newer(world: World) -> None:
    properties: dict[str, Any] = {f"{PREFIX}type": "annotation.painted", f"{PREFIX}project": "default"}
    message = Message(b"x", subject="annotation.painted", properties=properties)
    world.broker.write_raw(ANNOTATION_EVENTS, encode(message))


async def _garbage(world: World) -> None:
    world.broker.write_raw(BATCH_EVENTS, b"\x00\x01")


async def _lists(world: World) -> None:
    input_range = Range(stream=ANNOTATION_EVENTS, first=0, last=0)
    await world.say(BatchAugmented(input=input_range, recipe=NEW, lists=FILE))


async def _beyond(world: World) -> None:
    await world.batch(NEW, [], last=10_000)


async def _foreign_name(world: World) -> None:
    await world.blobs.put("default/images/README.txt", b"x")


async def _foreign_project(world: World) -> None:
    archive = FileRef(key="another/archives/x.tar", sha256="0" * 64, size_bytes=1)
    input_range = Range(stream=ANNOTATION_EVENTS, first=0, last=0)
    await world.say(BatchAugmented(input=input_range, recipe=NEW, archive=archive))


async def _anew(world: World) -> None:
    world.broker.delete(ANNOTATION_EVENTS)
    await world.broker.ensure_stream(ANNOTATION_EVENTS)


async def _older_objects(world: World) -> None:
    world.clock.now -= timedelta(days=30)
    await world.image(77)
    world.clock.now += timedelta(days=30)


async def _promoted(world: World) -> None:
    await world.say(
        ModelPromoted(model="nobody", number=1, manifest=FILE, signature=FILE, statement="", statement_signature="",
                      reason="r")
    )  # fmt: skip


async def _note(world: World) -> None:
    await world.blobs.put(keys.forwarding(keys.archive("default", "c" * 64)), b"no note")


@pytest.mark.parametrize(
    ("happens", "told"),
    [
        (_evict, "must have no retention"),
        (_newer, r"newer than this command \(annotation.painted\)"),
        (_garbage, "offset 2 of batch-events can't be read"),
        (_lists, "the lists of offset 2 of batch-events can't be read"),
        (_beyond, "an event speaks of its offset 10000: it was made anew"),
        (_foreign_name, "default/images/README.txt is not a name that Labelstream gives"),
        (_foreign_project, "names another/archives/x.tar, which does not belong to the project default"),
        (_anew, "was made anew|was the stream made anew"),
        (_older_objects, "the store has older images that it does not name: was the stream made anew"),
        (_promoted, "promotes the model nobody, but not that it was exported"),
        (_note, r"\.rewritten\.json can't be read"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
async def test_in_doubt_nothing_of_the_project_goes(
    world: World, happens: Callable[[World], Awaitable[None]], told: str
) -> None:
    for number in range(3):
        await world.record(number)
    await world.image(99)
    await world.batch(OLD, ["old"], last=1)
    await world.batch(NEW, ["new"], last=2)
    world.pass_days(8)
    assert len(await world.going()) == 2
    await happens(world)
    found = (await world.look()).plan
    assert found.candidates == ()
    assert any(re.search(told, doubt) for doubt in found.doubts), found.doubts


async def test_a_kept_dataset_that_nobody_can_read_stops_everything(world: World) -> None:
    await world.record(1)
    (key,) = await world.batch(OLD, ["a"])
    dataset = await world.dataset("d", [key])
    await world.model("m", dataset)
    await world.batch(NEW, ["b"])
    await world.image(2)
    world.pass_days(8)
    await world.blobs.put(keys.dataset("default", dataset.id, MANIFEST), b"torn")
    with pytest.raises(CommandFailed, match=f"the dataset {dataset.id} of default must stay .the model m was made"):
        await world.look()
    await world.blobs.delete(dataset.description.key)
    with pytest.raises(CommandFailed, match=r"its dataset\.json is gone"):
        await world.look()


@pytest.mark.parametrize(
    ("text", "span"),
    [("7d", WEEK), ("12h", timedelta(hours=12)), ("0s", timedelta()), (" 2 W ", timedelta(weeks=2))],
)
def test_ages_are_read_as_people_write_them(text: str, span: timedelta) -> None:
    assert parse_age(text) == span


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1.5h", "7 years"])
def test_what_is_no_age_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="such as 12h or 7d"):
        parse_age(text)


def test_ages_are_told_briefly() -> None:
    assert [age(timedelta(seconds=seconds)) for seconds in (5, 90, 7200, 200_000)] == ["5 s", "1 min", "2 h", "2 d"]


async def test_the_recipe_that_the_augmenter_was_set_back_to_is_in_use_before_it_says_anything(world: World) -> None:
    await world.record(1)
    (old,) = await world.batch(OLD, ["old"])
    (new,) = await world.batch(NEW, ["new"])
    world.pass_days(8)
    assert old in await world.going()
    await world.blobs.put(keys.augmenting("default"), Augmenting(recipe=OLD).model_dump_json().encode())
    assert not {old, new} & (await world.going()).keys()


async def test_a_note_of_the_augmenter_that_nobody_can_read_is_a_doubt(world: World) -> None:
    await world.record(1)
    await world.batch(OLD, ["old"])
    await world.blobs.put(keys.augmenting("default"), b"{}")
    assert "default/augmenting.json" in (await world.look()).plan.doubts[0]
