"""Publishes annotations, as any labelling platform would.

async with Producer.connect("rabbitmq-stream://user:password@127.0.0.1:5552", name="my-platform") as producer:
await producer.submit(
name="frame-1",
image=Path("frame-1.jpg"),
boxes=[{"class": "car", "x": 0.5, "y": 0.5, "w": 0.2, "h": 0.1}],
)
async for receipt in producer.receipts():
print(receipt.message_id, receipt.outcomes[0].outcome, receipt.outcomes[0].rejection)
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from labelstream.errors import Misconfigured
from labelstream.events.annotation import AnnotationSettled
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.service.settings import BrokerSettings
from labelstream.streams.amqp import decode
from labelstream.streams.message import Message
from labelstream.streams.ports import Broker, Reader
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.values import Split
from labelstream.wire import native

SCHEME = "rabbitmq-stream"
MOST_MESSAGES = 100  # wait unconfirmed, at most
MOST_BYTES = 8 << 20


def broker_settings(url: str) -> BrokerSettings:
    """Read `rabbitmq-stream://user:password@host:5552/vhost`. Raises Misconfigured, without showing the password."""
    parts = urlsplit(url)
    if parts.scheme != SCHEME or not parts.hostname or not parts.username or parts.password is None:
        raise Misconfigured(f"the broker's address must look like {SCHEME}://user:password@host:5552/vhost")
    return BrokerSettings(
        host=parts.hostname,
        stream_port=parts.port or 5552,
        vhost=unquote(parts.path[1:]) or "/",
        username=unquote(parts.username),
        password=SecretStr(unquote(parts.password)),
    )


class Producer:
    """The one writer of a publisher name on an input stream. What it sent and what was confirmed never differ.

    `submit` gathers messages and waits while too many are unconfirmed; `flush`, `receipts` and the end
    of `async with` send the rest. A broker that is away is waited for; nothing is sent twice.
    """

    def __init__(
        self, broker: Broker, stream: str = "annotations", name: str = "producer", *, receipts: bool = True
    ) -> None:
        """Write `stream` under `name`, which nobody else uses at the time; `receipts`: this user may read them."""
        self._broker = broker
        self._stream = stream
        self._name = name
        self._health = Health()
        self._publisher = broker.publisher(stream, name)
        self._with_receipts = receipts
        self._answers: Reader | None = None
        self._last = 0
        self._session = secrets.token_hex(4)  # so that nobody takes the receipt of another run for ours
        self._waiting: list[tuple[int, Message]] = []
        self._waiting_bytes = 0
        self._unanswered: set[str] = set()
        self._sending = asyncio.Lock()

    @classmethod
    def connect(
        cls,
        address: str | BrokerSettings,
        stream: str = "annotations",
        name: str = "producer",
        *,
        receipts: bool = True,
    ) -> Self:
        """Write `stream` of the broker at `address`."""
        settings = broker_settings(address) if isinstance(address, str) else address
        return cls(RabbitBroker(settings, Health(), name), stream, name, receipts=receipts)

    async def __aenter__(self) -> Self:
        self._last = await patiently(
            self._health, "broker", lambda: self._broker.last_publishing_id(self._stream, self._name)
        )
        if self._with_receipts:
            end = await patiently(self._health, "broker", lambda: self._broker.last_offset(ANNOTATION_EVENTS))
            self._answers = self._broker.reader(ANNOTATION_EVENTS, "first" if end is None else end + 1)
        return self

    async def __aexit__(self, kind: object, error: object, traceback: object) -> None:
        try:
            if kind is None:
                await self.flush()
        finally:
            await self._broker.close()

    async def submit(
        self,
        *,
        name: str,
        image: bytes | Path | None,
        boxes: Iterable[dict[str, Any]],
        medium: str | None = None,
        split: Split | None = None,
        validated: bool = True,
        source: Literal["manual", "ai"] = "manual",
        producer: str | None = None,
    ) -> str:
        """Submit one annotation; return the message's id. `boxes` are centre and size in fractions of the image."""
        data = await asyncio.to_thread(image.read_bytes) if isinstance(image, Path) else image
        message = native.write(
            name,
            data,
            boxes,
            medium=medium,
            split=split,
            validated=validated,
            source=source,
            producer=producer,
        )
        return await self.publish(message)

    async def validate(self, names: Sequence[str]) -> str:
        """Say that the annotations `names` are right; return the message's id."""
        return await self.publish(native.write_bulk("validated", names))

    async def delete(self, names: Sequence[str]) -> str:
        """Take the annotations `names` out of future datasets; return the message's id."""
        return await self.publish(native.write_bulk("deleted", names))

    async def publish(self, message: Message) -> str:
        """Publish a message of any wire under the next id; return the id that it was given."""
        self._last += 1
        message_id = f"{self._name}-{self._session}-{self._last}"
        self._waiting.append((self._last, replace(message, message_id=message_id)))
        self._waiting_bytes += len(message.body)
        if self._with_receipts:
            self._unanswered.add(message_id)
        if len(self._waiting) >= MOST_MESSAGES or self._waiting_bytes >= MOST_BYTES:
            await self.flush()
        return message_id

    async def flush(self) -> None:
        """Return when the broker has confirmed everything that was submitted."""
        async with self._sending:
            batch, self._waiting, self._waiting_bytes = self._waiting, [], 0
            if batch:
                await self._publisher.publish(batch)

    async def receipts(self) -> AsyncIterator[AnnotationSettled]:
        """Yield the receipt of each submitted message as it comes; end when none is outstanding."""
        if self._answers is None:
            raise RuntimeError("this producer was told not to read receipts, or was not entered with `async with`")
        await self.flush()
        while self._unanswered:
            for delivery in await self._answers.read():
                envelope = Envelope.from_message(decode(delivery.raw))
                event = envelope.event if envelope else None
                if isinstance(event, AnnotationSettled) and event.message_id in self._unanswered:
                    self._unanswered.discard(event.message_id)
                    yield event

    async def wait_for_receipts(self) -> dict[str, AnnotationSettled]:
        """Return the receipts of all submitted messages, by message id, when the last one is there."""
        return {receipt.message_id or "": receipt async for receipt in self.receipts()}
