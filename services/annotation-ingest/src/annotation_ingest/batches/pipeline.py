"""Answers the messages of one input in order: while one batch is stored, the next one is prepared."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from annotation_ingest.batches.desk import Desk
from annotation_ingest.handler import Ingest, Prepared
from labelstream.streams.lag import Behind
from labelstream.streams.message import Delivery


@dataclass
class Pipeline:
    """One input's way over the desk.

    What asks to erase takes objects away, and what was in flight when the process ended may end it again. Both
    are taken alone: nothing else of any input is under way meanwhile.
    """

    desk: Desk
    ingest: Ingest
    publisher: str
    tasks: asyncio.TaskGroup
    behind: Behind
    _storing: asyncio.Task[None] | None = None

    async def answer(self, deliveries: Sequence[Delivery], most_bytes: int) -> None:
        """Hand the messages in; returns when all are prepared, and all but the last batch are stored."""
        for batch in cut(deliveries, most_bytes, {one.offset for one in deliveries if self._goes_alone(one)}):
            if self._goes_alone(batch[0]):
                await self._answer_alone(batch[0])
            else:
                await self._answer(batch)

    def _goes_alone(self, delivery: Delivery) -> bool:
        erases = self.ingest.trust.may_erase and self.ingest.asks_to_erase(delivery)
        return erases or self.desk.attempts.is_suspect(delivery.stream, delivery.offset)

    async def _answer(self, batch: Sequence[Delivery]) -> None:
        taken = await self.desk.room.take(sum(len(one.raw) for one in batch))
        prepared = await self.desk.prepare(self.ingest, batch)
        if self._storing is not None:
            await self._storing
        self._storing = self.tasks.create_task(self._store(prepared, taken))

    async def _store(self, prepared: Sequence[Prepared], taken: int) -> None:
        await self.desk.store(self.ingest, self.publisher, prepared)
        self.desk.room.give_back(taken)
        self.behind.handled(prepared[-1].delivery.offset)

    async def _answer_alone(self, delivery: Delivery) -> None:
        async with self.desk.room.alone():
            if self.desk.attempts.is_suspect(delivery.stream, delivery.offset):
                await self.desk.answer_suspect(self.ingest, self.publisher, delivery)
            else:
                prepared = await self.desk.prepare(self.ingest, [delivery])
                await self.desk.store(self.ingest, self.publisher, prepared)
        self.behind.handled(delivery.offset)


def cut(deliveries: Iterable[Delivery], most_bytes: int, alone: set[int]) -> Iterator[list[Delivery]]:
    """Cut messages into batches of at most so many bytes; a larger one, and those at the offsets `alone`, go alone."""
    batch: list[Delivery] = []
    size = 0
    for one in deliveries:
        if batch and (one.offset in alone or batch[-1].offset in alone or size + len(one.raw) > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += len(one.raw)
    if batch:
        yield batch
