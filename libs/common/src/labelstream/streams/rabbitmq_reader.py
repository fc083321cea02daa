"""Reading one stream of RabbitMQ, across the loss of connections and brokers."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any

from rstream.constants import OffsetType

from labelstream.errors import Unavailable
from labelstream.streams.message import Delivery
from labelstream.streams.padding import is_padding
from labelstream.streams.ports import Start
from labelstream.streams.rabbitmq_chunk import messages
from labelstream.streams.rabbitmq_link import ONLY, Link, Links, translated
from labelstream.streams.rabbitmq_recovery import Recovery

CREDIT = 2  # chunks on their way to us; one may hold many images
ENOUGH_MESSAGES = 500  # no more chunks are asked for while so much is unread
ENOUGH_BYTES = 8 << 20


class RabbitReader:
    """Follows a stream in a task of its own and keeps what arrived until it is read.

    The offset that comes next is held here, so a new connection goes on exactly where the lost one
    stopped. The task only stores bytes: decoding and handling, and whatever they raise, are the caller's.
    """

    def __init__(self, links: Links, stream: str, start: Start, recovery: Recovery) -> None:
        self._links = links
        self._stream = stream
        self._next: Start = start
        self._recovery = recovery
        self._unread: deque[Delivery] = deque()
        self._unread_bytes = 0
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.attached = 0

    async def read(self, at_most: int = 100, wait_s: float = 1.0) -> list[Delivery]:
        """Return the next messages; the first call attaches to the stream. Raises Misconfigured when refused."""
        if self._closed:
            raise RuntimeError(f"the reader of {self._stream} is closed")
        if self._task is None:
            self._task = asyncio.create_task(self._follow(), name=f"reader of {self._stream}")
            self._task.add_done_callback(lambda _: self._arrived.set())
        if self._unread:
            await asyncio.sleep(0)  # a caller that is always behind still lets heartbeats through
        elif not self._task.done():
            self._arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._arrived.wait()
        if not self._unread and self._task.done():
            self._task.result()
        return self._take(at_most)

    async def close(self) -> None:
        """Stop reading."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._recovery.given_up()

    def _take(self, at_most: int) -> list[Delivery]:
        taken = [self._unread.popleft() for _ in range(min(at_most, len(self._unread)))]
        self._unread_bytes -= sum(len(delivery.raw) for delivery in taken)
        if taken:
            self._taken.set()
        return taken

    async def _follow(self) -> None:
        while True:
            try:
                link = await self._links.open(self._stream, writing=False, doing=f"reading {self._stream}")
                try:
                    await self._attach(link)
                    self._recovery.recovered()
                    await self._pump(link)
                finally:
                    await link.stop()
            except Unavailable as error:
                await self._recovery.wait(error)

    async def _attach(self, link: Link) -> None:
        with translated(f"subscribing to {self._stream}"):
            if self._next == "next":  # as a number, so that a loss of the connection can't move it
                last = await link.last_offset()
                self._next = "first" if last is None else last + 1
            at = (OffsetType.FIRST, None) if self._next == "first" else (OffsetType.OFFSET, self._next)
            await link.follow(at, credit=CREDIT)
        self.attached += 1

    async def _pump(self, link: Link) -> None:
        while True:
            chunk = await link.next_chunk()
            self._store(chunk)
            while len(self._unread) > ENOUGH_MESSAGES or self._unread_bytes > ENOUGH_BYTES:
                self._taken.clear()
                await self._taken.wait()
            await link.credit(ONLY, 1)

    def _store(self, chunk: Any) -> None:
        """Keep the chunk's messages from the wanted offset on: a chunk may begin before it."""
        for offset, raw in messages(chunk):
            if isinstance(self._next, int) and offset < self._next:
                continue
            self._next = offset + 1
            if is_padding(raw):
                continue
            self._unread.append(Delivery(self._stream, offset, raw, chunk.timestamp))
            self._unread_bytes += len(raw)
        if self._unread:  # a chunk may hold nothing but padding
            self._arrived.set()
