from __future__ import annotations

import asyncio

from augmenter.room import Room


class Guests:
    """Tasks that hold some of a room until they are sent away."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.inside: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, size: int) -> None:
        self.tasks[name] = asyncio.create_task(self._stay(name, size))
        await settled()

    async def go(self, name: str) -> None:
        self.tasks.pop(name).cancel()
        await settled()

    async def _stay(self, name: str, size: int) -> None:
        async with self.room.taken(size):
            self.inside.append(name)
            try:
                await asyncio.Event().wait()
            finally:
                self.inside.remove(name)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_does_not_fit_waits_and_nobody_overtakes_it() -> None:
    guests = Guests(Room(10))
    await guests.come("a", 6)
    await guests.come("large", 8)
    await guests.come("small", 2)
    assert guests.inside == ["a"]
    await guests.go("a")
    assert guests.inside == ["large", "small"]
    await guests.go("large")
    await guests.go("small")


async def test_what_is_larger_than_the_room_goes_alone() -> None:
    guests = Guests(Room(10))
    await guests.come("huge", 1000)
    await guests.come("tiny", 1)
    assert guests.inside == ["huge"]
    await guests.go("huge")
    assert guests.inside == ["tiny"]
    await guests.go("tiny")


async def test_who_gives_up_waiting_takes_nothing() -> None:
    guests = Guests(Room(10))
    await guests.come("a", 10)
    await guests.come("b", 10)
    await guests.come("c", 10)
    await guests.go("b")
    await guests.go("a")
    assert guests.inside == ["c"]
    await guests.go("c")
    await guests.come("d", 10)
    assert guests.inside == ["d"]
    await guests.go("d")
