"""Several batches under way: in order, and decided as if each had waited for the one before."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from augmenter.domain import Limits
from augmenter.making import Maker, Order, Shelved
from labelstream.events.annotation import Outcome


@dataclass
class Held:
    """A maker whose archives are finished when a test says so."""

    maker: Maker
    begun: list[int] = field(default_factory=list)  # the first offset of each order
    doors: dict[int, asyncio.Event] = field(default_factory=dict)
    finished: list[int] = field(default_factory=list)

    async def make(self, order: Order) -> Shelved:
        at = order.samples[0].offset
        self.begun.append(at)
        await self.door(at).wait()
        shelved = await self.maker.make(order)
        self.finished.append(at)
        return shelved

    def door(self, at: int) -> asyncio.Event:
        return self.doors.setdefault(at, asyncio.Event())


ONE = Limits(count=1, age_s=3600)


async def test_batches_are_made_at_once_and_answered_in_order(world: Any, scene: Any) -> None:
    for n in range(4):
        await world.record(f"n{n}", scene(n))
    held = Held(world.workshop)
    async with world.running(ONE, maker=held, ahead=3):
        await world.until(lambda: len(held.begun) == 3)
        held.door(1).set()
        held.door(2).set()
        await world.until(lambda: set(held.finished) == {1, 2})  # in either order
        assert world.batches() == []
        held.door(0).set()
        await world.until(lambda: len(held.begun) == 4)
        held.door(3).set()
        await world.until(lambda: len(world.batches()) == 4)
    assert [batch.input.first for batch in world.batches()] == [0, 1, 2, 3]


async def test_content_that_is_under_way_is_decided_on_when_its_batch_is_answered(world: Any, scene: Any) -> None:
    await world.record("a", scene(1))
    await world.record("b", scene(1))
    await world.record("c", scene(2))
    held = Held(world.workshop)
    async with world.running(ONE, maker=held, ahead=3):
        await world.until(lambda: held.begun == [0])
        held.door(2).set()
        held.door(0).set()
        await world.until(lambda: world.names() == ["a", "c"])
    assert held.begun == [0, 2]
    assert [batch.input.first for batch in world.batches()] == [0, 1]


async def test_content_that_was_left_out_under_way_is_tried_again(world: Any, scene: Any) -> None:
    await world.record("a", scene(1))
    await world.record("b", scene(1))
    world.renderer.crashing.add(scene(1).image.sha256)
    held = Held(world.workshop)
    async with world.running(ONE, maker=held, ahead=3):
        held.door(0).set()
        await world.until(lambda: held.begun == [0, 1])
        held.door(1).set()
        await world.until(lambda: len(world.batches()) == 2)
    assert [[one.name for one in batch.left_out] for batch in world.batches()] == [["a"], ["b"]]


async def test_an_erasure_waits_for_what_came_before_and_holds_what_comes_after(world: Any, scene: Any) -> None:
    await world.record("a", scene(1))
    held = Held(world.workshop)
    async with world.running(ONE, maker=held, ahead=3):
        await world.until(lambda: held.begun == [0])
        await world.record("b", scene(2))
        await world.erase("a", images=[scene(1)])
        await world.record("c", scene(3))
        await world.until(lambda: held.begun == [0, 1])
        held.door(1).set()
        held.door(3).set()
        await world.until(lambda: held.finished == [1])
        assert held.begun == [0, 1]
        held.door(0).set()
        await world.until(lambda: len(world.batches()) == 4)
    assert held.begun == [0, 1, 3]
    assert [len(batch.erased_images) for batch in world.batches()] == [0, 0, 1, 0]


async def test_an_old_batch_goes_on_collecting_while_there_is_no_room(world: Any, scene: Any) -> None:
    held = Held(world.workshop)
    async with world.running(Limits(age_s=0.01), maker=held, ahead=1):
        await world.record("a", scene(1))
        await world.until(lambda: held.begun == [0])
        for n in range(2, 5):
            await world.record(f"n{n}", scene(n))
        held.door(1).set()
        held.door(0).set()
        await world.until(lambda: len(world.names()) == 4)


@pytest.mark.parametrize("dies_at", range(5))
async def test_a_restart_at_any_batch_makes_the_same_batches(world: Any, scene: Any, dies_at: int) -> None:
    class Died(Exception):
        pass

    class Dying(Held):
        async def make(self, order: Order) -> Shelved:
            if order.samples[0].offset < dies_at:
                return await self.maker.make(order)
            self.begun.append(order.samples[0].offset)
            if len(self.begun) > 1:
                await asyncio.Event().wait()  # the next one is under way when we die
            raise Died

    for n in range(12):
        await world.record(f"n{n}", scene(n % 8))  # some contents come again
    await world.say(Outcome(name="n1", outcome="validated", validated=True, revision=2))
    limits = Limits(count=2, age_s=3600)
    with pytest.RaisesGroup(Died, flatten_subgroups=True):
        await world.pipeline(limits, maker=Dying(world.workshop), ahead=3).run()
    async with world.running(limits, ahead=3):
        await world.until(lambda: len(world.names()) == 8)
    names = [[member.name for member in batch.members] for batch in world.batches()]
    assert names == [["n0", "n1"], ["n2", "n3"], ["n4", "n5"], ["n6", "n7"]]
