"""Sending in the background: in order, in batches, and never with too much unconfirmed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from labelstream.producer.limits import Changes, Limits
from labelstream.streams.message import Message
from labelstream.streams.ports import Publisher

BATCH_MESSAGES, BATCH_BYTES = 100, 900_000  # what the publisher puts into one frame
ASK_EVERY_S = 5.0  # while a batch is not confirmed: is the stream still there?

Batch = list[tuple[int, Message]]


class Sending:
    """Gives messages their publishing ids and sends them, a short time after they came or when a batch is full.

    The first error ends it: ids must rise without a gap, so nothing could be sent past what failed.
    """

    def __init__(
        self,
        publisher: Publisher,
        last: int,
        limits: Limits,
        *,
        still_there: Callable[[], Awaitable[None]],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Go on after the publishing id `last`; `failed` is told of the error that ends it."""
        self._publisher = publisher
        self._limits = limits
        self._still_there = still_there
        self._tell_failure = failed
        self._failure: BaseException | None = None
        self._last = self._confirmed = last
        self._unsent: deque[tuple[int, Message]] = deque()
        self._unsent_bytes = 0
        self._unconfirmed_bytes = 0
        self._urgent = 0  # up to this id somebody waits for the confirm
        self._changes = Changes()
        self._task: asyncio.Task[None] | None = None

    @property
    def unconfirmed(self) -> int:
        """How many messages the broker has yet to confirm."""
        return self._last - self._confirmed

    async def room_for(self, size_bytes: int) -> None:
        """Wait until a message of that size may be added; add it before anything else is awaited."""
        await self._changes.until(lambda: self._failure or self._has_room(size_bytes))
        self._check()

    def add(self, message: Message, named: Callable[[int], Message]) -> Message:
        """Send `named(publishing id)`, which has the body of `message`; return it."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"sending of {self._publisher.name}")
            self._task.add_done_callback(self._ended)
        self._last += 1
        given = named(self._last)
        self._unsent.append((self._last, given))
        self._unsent_bytes += len(message.body)
        self._unconfirmed_bytes += len(message.body)
        self._changes.tell()
        return given

    async def flush(self) -> None:
        """Return when all that was added is confirmed. Raises what ended the sending."""
        upto = self._urgent = self._last
        self._changes.tell()
        await self._changes.until(lambda: self._failure or self._confirmed >= upto)
        self._check()

    async def close(self) -> None:
        """Stop; what is not confirmed may be stored or not."""
        if self._task is not None:
            await _stopped(self._task)

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _has_room(self, size_bytes: int) -> bool:
        return not self.unconfirmed or (
            self.unconfirmed < self._limits.unconfirmed_messages
            and self._unconfirmed_bytes + size_bytes <= self._limits.unconfirmed_bytes
        )

    async def _run(self) -> None:
        while True:
            await self._changes.until(lambda: self._unsent)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._limits.linger_s):
                    await self._changes.until(self._is_due)
            batch = self._next_batch()
            await self._publish(batch)
            self._confirmed = batch[-1][0]
            self._unconfirmed_bytes -= sum(len(message.body) for _, message in batch)
            self._changes.tell()

    def _is_due(self) -> bool:
        full = len(self._unsent) >= BATCH_MESSAGES or self._unsent_bytes >= BATCH_BYTES
        return full or self._urgent >= self._unsent[0][0]

    def _next_batch(self) -> Batch:
        batch: Batch = []
        size = 0
        while self._unsent and len(batch) < BATCH_MESSAGES and (not batch or size < BATCH_BYTES):
            batch.append(self._unsent.popleft())
            size += len(batch[-1][1].body)
        self._unsent_bytes -= size
        return batch

    async def _publish(self, batch: Batch) -> None:
        publishing = asyncio.create_task(self._publisher.publish(batch))
        try:
            while not (await asyncio.wait({publishing}, timeout=ASK_EVERY_S))[0]:
                await self._still_there()
            publishing.result()
        finally:
            await _stopped(publishing)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        self._failure = task.exception()
        if self._failure is not None:
            self._tell_failure(self._failure)
        self._changes.tell()


async def _stopped(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # nobody else asks for it
