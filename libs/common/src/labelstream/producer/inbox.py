"""The receipts of one producer: read once, in the background, and handed to whoever waits for them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import msgpack

from labelstream.events.annotation import AnnotationErased, AnnotationSettled
from labelstream.events.envelope import Envelope
from labelstream.producer.limits import Changes
from labelstream.streams.amqp import decode
from labelstream.streams.message import Delivery
from labelstream.streams.ports import Reader

Receipt = AnnotationSettled | AnnotationErased


class Inbox:
    """Keeps the receipts of our messages until they are taken, and the last ones taken for who asks again.

    Reading begins when somebody asks. It pauses while many receipts lie here that nobody takes, unless
    somebody waits for a certain one: then the oldest of the others are let go.
    """

    def __init__(self, open_reader: Callable[[], Reader], kept: int) -> None:
        """Read what `open_reader` gives; keep at most `kept` receipts that nobody took, and as many taken."""
        self._open_reader = open_reader
        self._kept = kept
        self._unanswered: Counter[str] = Counter()  # how many receipts are to come
        self._untaken: dict[str, list[Receipt]] = {}  # by message id, in the order in which they came
        self._taken: dict[str, Receipt] = {}
        self._awaited: dict[str, set[asyncio.Future[Receipt]]] = {}
        self._failure: BaseException | None = None
        self._changes = Changes()
        self._task: asyncio.Task[None] | None = None

    def expect(self, message_id: str) -> None:
        """Say that a message is about to be sent."""
        self._unanswered[message_id] += 1
        self._taken.pop(message_id, None)

    async def one(self, message_id: str) -> Receipt:
        """Return the receipt of one message, as soon as it is there."""
        self._start()
        if message_id in self._untaken:
            return self._take(message_id)
        if message_id in self._taken:
            return self._taken[message_id]
        self._check()
        awaited = self._awaited.setdefault(message_id, set())
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        awaited.add(future)
        self._changes.tell()
        try:
            return await future
        finally:
            awaited.discard(future)
            if not awaited:
                self._awaited.pop(message_id, None)

    async def any(self) -> Receipt | None:
        """Return the next receipt that nobody took; None when none is outstanding."""
        self._start()
        await self._changes.until(lambda: self._untaken or not self._unanswered or self._failure)
        if self._untaken:
            return self._take(next(iter(self._untaken)))
        self._check()
        return None

    def fail(self, error: BaseException) -> None:
        """Tell everyone who waits, now or later, that no more receipts will come."""
        self._failure = self._failure or error
        for future in (future for awaited in self._awaited.values() for future in awaited):
            if not future.done():
                future.set_exception(error)
        self._changes.tell()

    async def close(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._read(), name="receipts")
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.fail(error)

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _read(self) -> None:
        reader = self._open_reader()
        try:
            while True:
                await self._changes.until(lambda: self._awaited or len(self._untaken) < self._kept)
                for delivery in await reader.read():
                    receipt = self._ours(delivery)
                    if receipt is not None:
                        self._receive(receipt)
        finally:
            await reader.close()

    def _ours(self, delivery: Delivery) -> Receipt | None:
        message = decode(delivery.raw)
        if message.subject not in {AnnotationSettled.type, AnnotationErased.type}:
            return None
        said = msgpack.unpackb(message.body).get("message_id")  # most are of others: don't read those in full
        if said not in self._unanswered and said not in self._awaited:
            return None
        envelope = Envelope.from_message(message)
        event = envelope.event if envelope else None
        return event if isinstance(event, (AnnotationSettled, AnnotationErased)) else None

    def _receive(self, receipt: Receipt) -> None:
        message_id = receipt.message_id or ""
        self._unanswered[message_id] -= 1
        if self._unanswered[message_id] <= 0:
            del self._unanswered[message_id]
        self._untaken.setdefault(message_id, []).append(receipt)
        awaited = self._awaited.get(message_id, ())
        if awaited:
            self._take(message_id)
        for future in awaited:
            if not future.done():
                future.set_result(receipt)
        while len(self._untaken) > self._kept and self._awaited:
            del self._untaken[next(iter(self._untaken))]
        self._changes.tell()

    def _take(self, message_id: str) -> Receipt:
        receipts = self._untaken[message_id]
        receipt = self._taken[message_id] = receipts.pop(0)
        if not receipts:
            del self._untaken[message_id]
        while len(self._taken) > self._kept:
            del self._taken[next(iter(self._taken))]
        self._changes.tell()
        return receipt
