"""Follows one input from message to message, and doubts the stream when it should."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import structlog

from annotation_ingest.batches.desk import Desk
from annotation_ingest.batches.pipeline import Pipeline
from annotation_ingest.handler import Ingest
from annotation_ingest.inputs.lineage import Lineage
from annotation_ingest.inputs.pace import Pace
from labelstream.service.patience import patiently
from labelstream.streams.lag import EVERY_S, Behind, reading
from labelstream.streams.ports import Broker

READER = "annotation-ingest"  # as the metrics call us

log = structlog.get_logger()


@dataclass(frozen=True)
class Limits:
    """How much makes a batch, and how often a quiet input is looked at."""

    messages: int
    size_bytes: int
    check_s: float


@dataclass
class Follower:
    """Answers one input."""

    stream: str
    publisher: str
    ingest: Ingest
    desk: Desk
    broker: Broker
    lineage: Lineage
    pace: Pace
    limits: Limits

    async def follow(self, position: int) -> None:
        """Answer the input from the offset `position` on, until cancelled."""
        health = self.desk.health
        if position == 0:  # one that was answered is never created here: whoever deleted it has to look
            await patiently(health, "broker", lambda: self.broker.ensure_stream(self.stream, None))
        self.desk.telling.introduce(self.stream)
        health.handled(self.stream, position - 1)
        async with reading(self.broker, self.stream, READER, every_s=min(EVERY_S, self.limits.check_s)) as behind:
            while True:
                behind.begin(position)
                position = await self._checked(position)
                health.ready("start")
                behind.begin(position)
                position = await self._answer_from(position, behind)
                log.info("input.doubted", stream=self.stream, position=position)

    async def _checked(self, position: int) -> int:
        """Return where to go on; waits while this is not the stream that was answered."""
        return await patiently(self.desk.health, self.lineage.name, lambda: self.lineage.check(position))

    async def _answer_from(self, position: int, behind: Behind) -> int:
        """Answer what comes until it may be another stream that is read; return the offset that is next."""
        reader = self.broker.reader(self.stream, position)
        quiet = _Quiet(self)
        try:
            async with asyncio.TaskGroup() as tasks:
                pipeline = Pipeline(self.desk, self.ingest, self.publisher, tasks, behind)
                while True:
                    at_most = self.pace.at_most(self.limits.messages)
                    deliveries = await reader.read(at_most, wait_s=min(1.0, self.limits.check_s))
                    if reader.attached > 1:  # which stream these came from is not known: they are read again
                        return position
                    if deliveries:
                        quiet.over()
                        behind.read(deliveries)
                        await self.pace.keep(len(deliveries))
                        await pipeline.answer(deliveries, self.limits.size_bytes)
                        position = deliveries[-1].offset + 1
                    elif await quiet.is_strange(position):
                        return position
        finally:
            await reader.close()


@dataclass
class _Quiet:
    """Nothing comes: is nothing there, or is the reader left behind by a stream that was created anew?"""

    follower: Follower
    _since: float = field(default_factory=time.monotonic)
    _unread: bool = False

    def over(self) -> None:
        """Say that something came."""
        self._since, self._unread = time.monotonic(), False

    async def is_strange(self, position: int) -> bool:
        """Say whether the stream ends elsewhere than before `position`, the offset that is next."""
        if time.monotonic() - self._since < self.follower.limits.check_s:
            return False
        lineage = self.follower.lineage
        end = await patiently(self.follower.desk.health, lineage.name, lineage.end)
        before, self._unread = self._unread, end >= position
        self._since = time.monotonic()
        return end < position - 1 or (before and self._unread)  # what just came is read in time
