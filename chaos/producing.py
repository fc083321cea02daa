"""The producer: pushes a story at a steady rate, and counts what is confirmed and what is answered."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field

from chaos.story import Story
from labelstream.producer import Producer
from labelstream.service.settings import BrokerSettings
from labelstream.streams.message import Message
from labelstream.values import sha256_hex

NAME = "chaos-producer"
PAUSE_S = 0.5  # when no receipt is outstanding


@dataclass(frozen=True)
class Sent:
    """One message on its way."""

    id: str
    body: str  # digest
    what: str  # it is
    at: float


def digest(message: Message) -> str:
    """Return what tells a message's content from others'."""
    return sha256_hex(message.body)


@dataclass
class Producing:
    """Sends until it is told to stop; nothing that was confirmed may get lost from then on."""

    settings: BrokerSettings
    story: Story
    per_s: float
    sent: list[Sent] = field(default_factory=list)
    receipts: list[str] = field(default_factory=list)  # message ids, as their receipts came
    confirmed: int = 0  # of those sent
    _enough: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        """Send no more."""
        self._enough.set()

    async def run(self) -> None:
        """Send; then wait until everything is confirmed and answered."""
        async with Producer.connect(self.settings, name=NAME) as producer:
            receiving = asyncio.create_task(self._receive(producer))
            try:
                await self._send(producer)
                await producer.flush()
                self.confirmed = len(self.sent)
                await receiving
            finally:
                receiving.cancel()

    async def _send(self, producer: Producer) -> None:
        begun, count = time.monotonic(), 0
        while not self._enough.is_set():
            what, message = await asyncio.to_thread(self.story.next)
            self.sent.append(Sent(message.message_id or "", digest(message), what, time.time()))
            await producer.publish(message)
            count += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._enough.wait(), max(0.0, begun + count / self.per_s - time.monotonic()))

    async def _receive(self, producer: Producer) -> None:
        """Take receipts as they come, to the last one."""
        while True:
            receipt = await producer.next_receipt()
            if receipt is not None:
                self.receipts.append(receipt.message_id or "")
            elif self._enough.is_set() and len(self.receipts) >= len(self.sent):
                return
            else:
                await asyncio.sleep(PAUSE_S)
