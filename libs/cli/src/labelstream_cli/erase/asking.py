"""Erasing annotations: what it concerns, asking for it, and waiting until it is done."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from labelstream.batches import WholeBatches
from labelstream.blobs.ports import Blobs
from labelstream.events.annotation import AnnotationErased
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS
from labelstream.events.batch import BatchAugmented, Rewritten
from labelstream.events.envelope import Envelope
from labelstream.producer import Producer, TimedOut
from labelstream.service.health import Health
from labelstream.streams.ports import Broker
from labelstream.view import AnnotationView, ToErase
from labelstream.wire.limits import MAX_NAMES
from labelstream_cli.reaching import Tell, event_in, last_offset, not_told, stored
from labelstream_cli.running import CommandFailed

PATIENCE_S = 120.0  # for a receipt, and for each answer of the augmenter
NOTHING = "erasure.nothing"
_EVERYTHING = 1 << 60  # bytes; a preview has room for all names


@dataclass(frozen=True)
class Request:
    """What somebody wants erased: annotations by name, or everything of a medium."""

    project: str
    stream: str
    names: tuple[str, ...] = ()
    medium: str | None = None

    def parts(self) -> Iterator[tuple[str, ...] | None]:
        """Yield the names of each message; None for the medium."""
        if self.medium is not None:
            yield None
        for at in range(0, len(self.names), MAX_NAMES):
            yield self.names[at : at + MAX_NAMES]


@dataclass(frozen=True)
class Marks:
    """Where the streams ended before anything was asked for."""

    annotations: int  # the offset behind the end
    batches: int


async def concerned(broker: Broker, request: Request, tell: Tell = not_told) -> ToErase:
    """Return which annotations and images the request concerns, as the receipts tell it."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        closing(AnnotationView(Path(scratch) / "annotations.sqlite")) as view,
    ):
        async for deliveries in stored(broker, ANNOTATION_EVENTS, tell=tell):
            for delivery in deliveries:
                envelope = event_in(delivery)
                if envelope is not None:
                    view.apply(delivery.offset, envelope)
        return view.to_erase(request.project, request.names, request.medium, _EVERYTHING)


async def marks(broker: Broker) -> Marks:
    """Return where the streams end now."""
    ends = [await last_offset(broker, stream) for stream in (ANNOTATION_EVENTS, BATCH_EVENTS)]
    annotations, batches = (0 if end is None else end + 1 for end in ends)
    return Marks(annotations, batches)


async def ask(producer: Producer, request: Request, patience_s: float = PATIENCE_S) -> list[AnnotationErased]:
    """Have it erased, in as many messages as it takes; return their receipts.

    Raises CommandFailed when it is refused, when there is nothing to erase, or when no receipt comes.
    """
    receipts: list[AnnotationErased] = []
    for names in request.parts():
        remaining = 1
        while remaining:
            receipt = await _asked(producer, names, request.medium, patience_s, begun=bool(receipts))
            remaining = receipt.remaining if receipt else 0
            receipts += [receipt] if receipt else []
    return receipts


async def _asked(
    producer: Producer, names: Sequence[str] | None, medium: str | None, patience_s: float, *, begun: bool
) -> AnnotationErased | None:
    """Return the receipt of one message; None when the rest was gone already."""
    message_id = await producer.erase(names=names, medium=medium)
    try:
        receipt = await producer.wait_for_receipt(message_id, timeout_s=patience_s)
    except TimedOut as error:
        raise CommandFailed(
            f"the request is on its way, but {error}: `labelstream status` shows whether annotation-ingest is up. "
            "It is stored, and done when ingest is."
        ) from error
    if isinstance(receipt, AnnotationErased):
        return receipt
    refused = next((one.rejection for one in receipt.outcomes if one.rejection is not None), None)
    if refused is None:
        raise CommandFailed(f"the request was answered by {receipt.type} without a reason: nothing was erased")
    if begun and refused.rule == NOTHING:
        return None
    raise CommandFailed(f"{refused.rule}: {refused.reason}. {refused.hint}")


async def wait_for_archives(
    broker: Broker,
    blobs: Blobs,
    project: str,
    receipts: Sequence[AnnotationErased],
    since: Marks,
    patience_s: float = PATIENCE_S,
) -> list[Rewritten]:
    """Wait until the augmenter has answered the erasures; return the archives that it rewrote.

    Raises CommandFailed when it does not answer.
    """
    images = {image for receipt in receipts for image in (*receipt.images, *receipt.kept_images)}
    if not images:
        return []
    keys = {receipt.message_key for receipt in receipts}
    offset = max(await _offsets(broker, keys, since.annotations))
    answers = _Answers(project, images)
    whole = WholeBatches(answers.fold, blobs, Health())
    reader = broker.reader(BATCH_EVENTS, since.batches or "first")
    try:
        async with asyncio.timeout(patience_s):
            while answers.covered < offset:
                for delivery in await reader.read():
                    envelope = event_in(delivery)
                    if envelope is not None:
                        whole(delivery.offset, envelope)
                await whole.fetch()
    except TimeoutError as error:
        raise CommandFailed(
            f"the original images are gone, but the augmenter did not answer within {patience_s:.0f} s: "
            "archives may still show them until it runs (`labelstream status`). Nothing needs to be asked again."
        ) from error
    finally:
        await reader.close()
    return list(answers.rewritten.values())


class _Answers:
    """What the augmenter says of the images."""

    def __init__(self, project: str, images: set[str]) -> None:
        self.covered = -1
        self.rewritten: dict[str, Rewritten] = {}
        self._project = project
        self._images = images

    def fold(self, _offset: int, envelope: Envelope) -> None:
        event = envelope.event
        if isinstance(event, BatchAugmented) and envelope.project == self._project:
            self.covered = max(self.covered, event.input.last)
            if self._images & {*event.erased_images, *(one.image for one in event.stayed)}:
                self.rewritten.update({one.archive: one for one in event.rewritten})


async def _offsets(broker: Broker, message_keys: set[str], start: int) -> list[int]:
    """Return where the receipts stand; they were read before, so they are there."""
    found = []
    async for deliveries in stored(broker, ANNOTATION_EVENTS, start or "first"):
        for delivery in deliveries:
            envelope = event_in(delivery)
            event = envelope.event if envelope else None
            if isinstance(event, AnnotationErased) and event.message_key in message_keys:
                found.append(delivery.offset)
    return found
