"""Is an input still the stream whose messages were answered, and is all of it still there?

A stream may be deleted and created anew under its name, and retention may remove what was not read yet.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from annotation_ingest import metrics
from labelstream.errors import Rejected, Unavailable
from labelstream.events.annotation import AnnotationErased, AnnotationSettled
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.service.health import Health
from labelstream.streams.amqp import decode
from labelstream.streams.message import Delivery
from labelstream.streams.ports import Broker
from labelstream.values import Position, sha256_hex
from labelstream.view import AnnotationView
from labelstream.wire.reading import read_submission

READ_S = 10.0  # for one message that is known to be there

log = structlog.get_logger()
Receipt = AnnotationSettled | AnnotationErased


@dataclass
class Lineage:
    """Compares an input with what was answered of it."""

    stream: str
    broker: Broker
    view: AnnotationView
    health: Health

    @property
    def name(self) -> str:
        """What is awaited when it is not."""
        return f"input {self.stream}"

    async def check(self, position: int) -> int:
        """Return the offset to read on from, when `position` is the first one not read yet.

        It is higher when retention has torn a gap: that is said, since nothing brings the messages back.
        Raises Unavailable when this is not the stream that was answered: somebody has to look.
        """
        answered = self.view.last_input(self.stream)
        first, last = await self._ends()
        expected = max(position - 1, -1 if answered is None else answered)
        if expected >= 0 and (last is None or last < expected):
            raise self._anew(f"messages up to offset {expected} were read, but the stream ends at {last}")
        if answered is not None and first is not None and first <= answered:
            await self._compare(answered)
        if first is None or first <= position:
            return position
        if position > 0:
            self._tell_gap(position, first)
        else:  # what was removed before this service ever ran is missed by nobody
            log.info("input.begun", stream=self.stream, first=first)
        return first

    async def end(self) -> int:
        """Return the offset of the last message, -1 for none. Raises Unavailable."""
        last = await self.broker.last_offset(self.stream)
        return -1 if last is None else last

    async def _ends(self) -> tuple[int | None, int | None]:
        first = await self.broker.first_offset(self.stream)
        return first, await self.broker.last_offset(self.stream)

    async def _compare(self, answered: int) -> None:
        """Raise Unavailable when the last answered message is not the one that its receipt answers."""
        place = self.view.receipt_of(Position(stream=self.stream, offset=answered))
        message = await self._read(self.stream, answered)
        receipt = _receipt(await self._read(ANNOTATION_EVENTS, place)) if place is not None else None
        if receipt is None or message is None:
            raise Unavailable(self.name, f"the message at offset {answered} and its receipt are awaited")
        if message.offset != answered or not _is_answered_by(message, receipt):
            raise self._anew(f"the message at offset {answered} is not the one that was answered")

    async def _read(self, stream: str, offset: int) -> Delivery | None:
        """Return the message at `offset`, or the next one there is."""
        reader = self.broker.reader(stream, offset)
        try:
            return next(iter(await reader.read(at_most=1, wait_s=READ_S)), None)
        finally:
            await reader.close()

    def _anew(self, found: str) -> Unavailable:
        return Unavailable(
            self.name,
            f"{found}: it was created anew; bring the old one back, or give the new one another name",
        )

    def _tell_gap(self, position: int, first: int) -> None:
        missing = f"offsets {position} to {first - 1} were removed before they were read"
        log.error("input.gap", stream=self.stream, first=position, last=first - 1)
        metrics.GAP.labels(self.stream).inc(first - position)
        self.health.degraded(f"gap in {self.stream}", missing)


def _receipt(delivery: Delivery | None) -> Receipt | None:
    envelope = Envelope.from_message(decode(delivery.raw)) if delivery is not None else None
    return envelope.event if envelope is not None and isinstance(envelope.event, Receipt) else None


def _is_answered_by(message: Delivery, receipt: Receipt) -> bool:
    """Say whether it may be this message that the receipt answers: another release may read it otherwise."""
    if receipt.message_key == sha256_hex(message.raw):
        return True
    try:
        decoded = decode(message.raw)
        if receipt.message_id is not None and decoded.message_id == receipt.message_id:
            return True
        return read_submission(decoded).message_key == receipt.message_key
    except Rejected:
        return False
