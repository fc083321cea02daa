from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from augmenter.domain import Limits
from augmenter.making import Order, Shelved, Workshop
from augmenter.recipe import parse_recipe
from augmenter.room import Room
from labelstream.errors import Misconfigured
from labelstream.events.annotation import Outcome
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS
from labelstream.streams.memory import MemoryBroker


async def test_every_offset_is_answered_once_and_in_order(world: Any, scene: Any) -> None:
    async with world.running():
        for n in range(5):
            await world.record(f"n{n}", scene(n), validated=n != 1)
        await world.say(Outcome(name="n1", outcome="validated", validated=True, revision=2))
        await world.say(Outcome(name=None, outcome="rejected"))
        await world.covered()
    expected = 0
    for batch in world.batches():
        assert batch.input.first == expected
        expected = batch.input.last + 1
    assert world.names() == ["n0", "n2", "n3", "n4", "n1"]


async def test_a_pipeline_goes_on_behind_what_it_said_and_not_before(world: Any, scene: Any) -> None:
    for n in range(4):
        await world.record(f"n{n}", scene(n), validated=n < 3)
    async with world.running():
        await world.covered()
    await world.record("n4", scene(4))
    await world.say(Outcome(name="n3", outcome="validated", validated=True, revision=2))
    async with world.running():
        await world.covered()
    assert world.names() == ["n0", "n1", "n2", "n4", "n3"]
    assert world.renderer.rendered == 5


async def test_content_is_looked_up_as_of_its_validation_though_the_view_is_ahead(world: Any, scene: Any) -> None:
    await world.record("a", scene(1), validated=False)
    await world.say(Outcome(name="a", outcome="validated", validated=True, revision=2))
    await world.record("a", scene(2), validated=False, outcome="edited")
    async with world.running(Limits(age_s=0.05)):
        await world.covered()
    before = world.batches()
    world.broker, older = MemoryBroker(), world.broker
    await world.broker.ensure_stream(ANNOTATION_EVENTS)
    for delivery in older.stored(ANNOTATION_EVENTS) or []:
        world.broker.write_raw(ANNOTATION_EVENTS, delivery.raw)
    async with world.running(Limits(age_s=0.05)):
        await world.covered()
    assert [m.image for batch in before for m in batch.members] == [scene(1).image.sha256]
    assert world.batches()[0].members == before[0].members


async def test_content_that_comes_back_in_a_later_batch_is_not_augmented_again(world: Any, scene: Any) -> None:
    async with world.running():
        await world.record("a", scene(1))
        await world.covered()
        await world.say(Outcome(name="a", outcome="unvalidated", validated=False, revision=2))
        await world.say(Outcome(name="a", outcome="validated", validated=True, revision=3))
        await world.record("b", scene(1))
        await world.covered()
    assert world.names() == ["a"]


async def test_another_recipe_begins_again_with_the_first_annotation(world: Any, scene: Any) -> None:
    await world.record("a", scene(1))
    async with world.running():
        await world.covered()
    other = parse_recipe("name: other\nvariants: [{count: 2}]\n", "other")
    async with world.running(recipe=other):
        await world.until(lambda: world.batches()[-1].recipe == other.digest)
    assert [(b.recipe, b.input.first) for b in world.batches()] == [(world.recipe.digest, 0), (other.digest, 0)]
    assert world.names() == ["a", "a"]


async def test_a_stream_that_was_made_anew_is_said_and_nothing_is_written(world: Any, scene: Any) -> None:
    await world.record("a", scene(1))
    await world.record("b", scene(2))
    async with world.running():
        await world.covered()
    emptied = MemoryBroker()
    await emptied.ensure_stream(ANNOTATION_EVENTS)
    await emptied.ensure_stream(BATCH_EVENTS)
    batches = world.broker.stored(BATCH_EVENTS) or []
    for delivery in batches:
        emptied.write_raw(BATCH_EVENTS, delivery.raw)
    world.broker = emptied
    with pytest.raises(Misconfigured, match="made anew"):
        await world.pipeline(Limits()).run()
    assert len(emptied.stored(BATCH_EVENTS) or []) == len(batches)


async def test_a_crash_between_archive_and_event_changes_nothing(world: Any, scene: Any) -> None:
    for n in range(6):
        await world.record(f"n{n}", scene(n))
    await world.broker.ensure_stream(BATCH_EVENTS)

    class Died(Exception):
        pass

    class Dying(Workshop):
        async def make(self, order: Order) -> Shelved:
            await super().make(order)
            raise Died

    limits = Limits(count=2, age_s=0.05)
    for _ in range(2):
        dying = Dying(world.store, world.renderer, Room(1 << 30))
        with pytest.RaisesGroup(Died, flatten_subgroups=True):
            await world.pipeline(limits, maker=dying, ahead=1).run()
    assert world.batches() == []
    later = datetime.now(UTC) + timedelta(days=90)
    world.blobs.clock = lambda: later
    async with world.running():
        await world.covered()
    assert world.names() == [f"n{n}" for n in range(6)]
    assert world.renderer.rendered == 6  # the archive of the first batch was there
    for info in [info async for info in world.blobs.list("default/archives/")]:
        assert info.modified == later, (
            "whoever collects what no event names must take an archive that was found for new"
        )
