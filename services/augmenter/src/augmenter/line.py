"""Batches under way: worked on several at a time, answered strictly one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from augmenter import metrics
from augmenter.answering import Answering
from augmenter.domain import Batch, Sample

Content = tuple[str, str]


@dataclass
class Line:
    """The batches of one project, in their order, from their close to their answer.

    A batch that erases is a barrier: it begins when all before it are answered, and nothing begins before it is.
    """

    answering: Answering
    tasks: asyncio.TaskGroup  # whose end a batch that fails is
    most: int  # batches at a time
    _under_way: dict[asyncio.Task[None], Batch] = field(default_factory=dict)
    _contents: set[Content] = field(default_factory=set)
    _closed: int = -1  # the last offset of the last batch that came

    @property
    def has_room(self) -> bool:
        """Whether another batch could begin at once."""
        return len(self._under_way) < self.most

    def holds(self, samples: Iterable[Sample]) -> bool:
        """Say whether the content of one of the samples is under way: nobody can tell yet what becomes of it."""
        return bool(self._contents) and any(sample.content in self._contents for sample in samples)

    async def put(self, batch: Batch) -> None:
        """Begin with a batch as soon as there is room; return then, or when it is answered if it erases."""
        while not self.has_room:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        if batch.erasure:
            await self.drain()
        before = next(reversed(self._under_way), None)
        self._contents.update(sample.content for sample in batch.samples)
        task = self.tasks.create_task(self._answer(batch, before))
        self._under_way[task] = batch
        task.add_done_callback(self._leave)
        self._closed = batch.last
        self._tell(batch)
        if batch.erasure:
            await self.drain()

    async def drain(self) -> None:
        """Return when every batch is answered."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _answer(self, batch: Batch, before: asyncio.Task[None] | None) -> None:
        answer = await self.answering.prepare(batch)
        if before is not None:
            await asyncio.wait([before])
            before.result()  # what an earlier one failed with ends this one too
        await self.answering.publish(answer)

    def _leave(self, task: asyncio.Task[None]) -> None:
        batch = self._under_way.pop(task)
        self._contents.difference_update(sample.content for sample in batch.samples)
        self._tell(batch)

    def _tell(self, batch: Batch) -> None:
        under_way = list(self._under_way.values())
        metrics.IN_FLIGHT.labels(batch.project).set(len(under_way))
        answered = under_way[0].first - 1 if under_way else batch.last
        fact = {"answered_up_to": answered, "batches_in_flight": len(under_way), "closed_up_to": self._closed}
        self.answering.store.health.fact(f"progress of {batch.project}", fact)
