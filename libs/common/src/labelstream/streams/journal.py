"""Our own stream: what we publish counts only once it was read back.

The broker confirms a message that it drops as a repeat, so two live writers of one publisher name
both believe that theirs was stored. Only reading back tells. A journal therefore stamps each message
with its publisher, its sequence and a token of this process, and folds events as they come back.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import structlog

from labelstream.errors import AnotherWriter, Rejected, Unavailable
from labelstream.events.envelope import Envelope
from labelstream.service import metrics
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.streams.amqp import decode
from labelstream.streams.message import Delivery, Message, PropertyValue
from labelstream.streams.ports import Broker, Publisher, Reader

PUBLISHER = "labelstream_publisher"
SEQUENCE = "labelstream_sequence"
WRITER = "labelstream_writer"

Fold = Callable[[int, Envelope], None]


class Journal:
    """The one writer of a stream: appends events, and folds every event of the stream in order."""

    def __init__(self, broker: Broker, stream: str, publishers: Sequence[str], fold: Fold, health: Health) -> None:
        """Write `stream` under the names `publishers`; call `fold(offset, envelope)` for each event."""
        self._broker = broker
        self._stream = stream
        self._fold = fold
        self._health = health
        self._writer = uuid.uuid4().hex
        self._sequences = dict.fromkeys(publishers, 0)
        self._publishers: dict[str, Publisher] = {}
        self._reader: Reader | None = None
        self._sent: dict[tuple[str, int], Envelope] = {}  # and not read back yet

    async def open(self, start: int | Literal["first"] = "first") -> dict[str, int]:
        """Fold what is stored from `start` on; return the last publishing id of each publisher (0: none)."""
        await patiently(self._health, "broker", lambda: self._broker.ensure_stream(self._stream))
        stored, tail = await patiently(self._health, "broker", self._ends)
        self._reader = self._broker.reader(self._stream, start)
        handled = -1 if start == "first" else start - 1
        while tail is not None and handled < tail:
            for delivery in await self._reader.read():
                self._take(delivery, ours_only=False)
                handled = delivery.offset
        self._sequences = {name: max(stored[name], seen) for name, seen in self._sequences.items()}
        metrics.PUBLISHED.labels(self._stream)
        self._publishers = {name: self._broker.publisher(self._stream, name) for name in self._sequences}
        return dict(self._sequences)

    async def _ends(self) -> tuple[dict[str, int], int | None]:
        stored = {name: await self._broker.last_publishing_id(self._stream, name) for name in self._sequences}
        tail = await self._broker.last_offset(self._stream)
        if tail is None and any(stored.values()):
            raise Unavailable("broker", f"{self._stream} holds messages of ours, but does not show its last one")
        return stored, tail

    @property
    def sequences(self) -> dict[str, int]:
        """The last publishing id of each publisher, as read back."""
        return dict(self._sequences)

    async def append(self, publisher: str, entries: Sequence[tuple[int, Envelope]]) -> list[int]:
        """Store (publishing id, envelope) pairs; return their offsets when all were read back and folded.

        Raises AnotherWriter when somebody else's message was stored in the place of ours.
        """
        if self._reader is None:
            raise RuntimeError("open the journal first")
        if not entries:
            return []
        self._sent = {(publisher, number): envelope for number, envelope in entries}
        await self._publishers[publisher].publish(
            [(number, self._stamped(publisher, number, envelope.to_message())) for number, envelope in entries]
        )
        last = entries[-1][0]
        offsets: list[int] = []
        while self._sequences[publisher] < last:
            deliveries = await self._reader.read()
            offsets += [d.offset for d in deliveries if self._take(d, ours_only=True) == publisher]
        self._sent = {}
        for _, envelope in entries:
            envelope.stored()
        metrics.PUBLISHED.labels(self._stream).inc(len(entries))
        return offsets

    def _stamped(self, publisher: str, number: int, message: Message) -> Message:
        stamp: dict[str, PropertyValue] = {PUBLISHER: publisher, SEQUENCE: number, WRITER: self._writer}
        return replace(message, properties={**message.properties, **stamp})

    def _take(self, delivery: Delivery, *, ours_only: bool) -> str | None:
        """Fold one event; return the publisher of ours that wrote it."""
        try:
            message = decode(delivery.raw)
            envelope = self._as_sent(message) or Envelope.from_message(message)
        except Rejected as error:
            # Nobody but us writes here: skipping it would let the view drift in silence.
            raise RuntimeError(f"{self._stream} offset {delivery.offset} is not an event of ours: {error}") from error
        publisher = str(message.properties.get(PUBLISHER, ""))
        mine = publisher in self._sequences
        if mine:
            if ours_only and message.properties.get(WRITER) != self._writer:
                raise AnotherWriter(
                    f"{self._stream} offset {delivery.offset} was written by another live {publisher!r}; "
                    "run one instance only"
                )
            self._sequences[publisher] = int(message.properties.get(SEQUENCE, 0))
        if envelope is not None:
            self._fold(delivery.offset, envelope)
        else:
            structlog.get_logger().warning("event.unknown_type", stream=self._stream, offset=delivery.offset)
        return publisher if mine else None

    def _as_sent(self, message: Message) -> Envelope | None:
        """Return what this very process published as `message`, so that it need not be read a second time."""
        said = message.properties
        if said.get(WRITER) != self._writer:
            return None
        return self._sent.get((str(said.get(PUBLISHER, "")), int(said.get(SEQUENCE, 0))))

    async def close(self) -> None:
        """Release the connections."""
        if self._reader is not None:
            await self._reader.close()
        for publisher in self._publishers.values():
            await publisher.close()
