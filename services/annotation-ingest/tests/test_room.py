from __future__ import annotations

import asyncio

import pytest

from annotation_ingest.batches.pipeline import cut
from annotation_ingest.batches.room import Room
from labelstream.streams.message import Delivery


async def settled() -> None:
    """Let every task go as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_there_is_room_up_to_the_size_and_the_next_one_waits() -> None:
    room = Room(10)
    assert [await room.take(6), await room.take(4)] == [6, 4]
    third = asyncio.create_task(room.take(1))
    await settled()
    assert not third.done()
    room.give_back(4)
    assert await third == 1


async def test_what_is_larger_than_the_room_takes_all_of_it() -> None:
    room = Room(10)
    assert await room.take(1000) == 10


async def test_who_wants_to_be_alone_is_not_overtaken_by_small_ones() -> None:
    room, order = Room(10), []

    async def alone() -> None:
        async with room.alone():
            order.append("alone")

    async def small() -> None:
        await room.take(1)
        order.append("small")

    await room.take(1)
    tasks = [asyncio.create_task(alone()), asyncio.create_task(small())]
    await settled()
    assert order == []
    room.give_back(1)
    await asyncio.gather(*tasks)
    assert order == ["alone", "small"]


async def test_who_gives_up_waiting_leaves_the_room_to_the_next_one() -> None:
    room = Room(10)
    await room.take(10)
    gone, next_one = asyncio.create_task(room.take(10)), asyncio.create_task(room.take(10))
    await settled()
    gone.cancel()
    await settled()
    room.give_back(10)
    assert await next_one == 10


async def test_who_is_cancelled_in_the_moment_of_its_turn_gives_the_room_back() -> None:
    room = Room(10)
    await room.take(10)
    gone = asyncio.create_task(room.take(10))
    await settled()
    room.give_back(10)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert await room.take(10) == 10


@pytest.mark.parametrize(
    ("sizes", "alone", "batches"),
    [
        ([], set(), []),
        ([3, 3, 3], set(), [[0, 1, 2]]),
        ([5, 5, 1], set(), [[0, 1], [2]]),
        ([1, 99, 1], set(), [[0], [1], [2]]),
        ([1, 1, 1, 1], {1}, [[0], [1], [2, 3]]),
        ([1, 1, 1], {0, 1, 2}, [[0], [1], [2]]),
    ],
    ids=["none", "all fit", "two fit", "one is too large", "one goes alone", "each goes alone"],
)
def test_messages_are_cut_into_batches_by_size(sizes: list[int], alone: set[int], batches: list[list[int]]) -> None:
    deliveries = [Delivery("annotations", offset, b"x" * size) for offset, size in enumerate(sizes)]
    assert [[one.offset for one in batch] for batch in cut(deliveries, 10, alone)] == batches
