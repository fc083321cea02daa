"""Keeps the bytes of refused messages on a stream of limited size and age."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labelstream.errors import Rejected
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.streams.amqp import decode
from labelstream.streams.message import Delivery, Message
from labelstream.streams.ports import Broker, Retention, Start
from labelstream.values import Position

STREAM = "parked.annotation-ingest"
NOTHING = b"\x00"  # stands for a message of no bytes, which a stream can't hold


@dataclass(frozen=True)
class Parking:
    """Parks messages under the publishing id `input offset + 1`: a retry keeps one copy."""

    broker: Broker
    health: Health

    async def prepare(self, retention: Retention) -> None:
        """Create the stream when it is missing."""
        await patiently(self.health, "broker", lambda: self.broker.ensure_stream(STREAM, retention))

    async def park(self, publisher: str, refused: Sequence[tuple[Delivery, Rejected]]) -> dict[int, Position]:
        """Keep the messages; return where each is kept, by input offset, once they are stored.

        One that an earlier try parked long ago may be gone again: it has no place then.
        """
        stored = await patiently(self.health, "broker", lambda: self.broker.last_publishing_id(STREAM, publisher))
        end = await patiently(self.health, "broker", lambda: self.broker.last_offset(STREAM))
        writer = self.broker.publisher(STREAM, publisher)
        try:
            await writer.publish([(delivery.offset + 1, _parked(delivery, error)) for delivery, error in refused])
        finally:
            await writer.close()
        new = {delivery.offset for delivery, _ in refused if delivery.offset + 1 > stored}
        old = {delivery.offset for delivery, _ in refused} - new
        start: Start = "first" if old or end is None else end + 1
        return await self._find(refused[0][0].stream, new, old, start)

    async def _find(self, stream: str, new: set[int], old: set[int], start: Start) -> dict[int, Position]:
        """Read back until all `new` ones are there, and the `old` ones, as far as they still are."""
        tail = await patiently(self.health, "broker", lambda: self.broker.last_offset(STREAM)) or 0
        found: dict[int, Position] = {}
        reader = self.broker.reader(STREAM, start)
        at = -1
        try:
            while new - found.keys() or (old - found.keys() and at < tail):
                for delivery in await reader.read():
                    at = delivery.offset
                    properties = decode(delivery.raw).properties
                    if properties["input_stream"] == stream and properties["input_offset"] in new | old:
                        found[int(properties["input_offset"])] = Position(stream=STREAM, offset=at)
        finally:
            await reader.close()
        return found


def _parked(delivery: Delivery, error: Rejected) -> Message:
    return Message(
        body=delivery.raw or NOTHING,
        subject="annotation.parked",
        properties={
            "rule": error.rule,
            "reason": error.reason,
            "input_stream": delivery.stream,
            "input_offset": delivery.offset,
            "empty": not delivery.raw,
        },
    )
