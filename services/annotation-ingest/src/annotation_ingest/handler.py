"""Turns one annotation message into its receipt, in two steps.

`prepare` may run for many messages at once: it decodes, checks and stores the image. `settle` runs in
the input's order and decides against the view.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from annotation_ingest.domain import Content, Decider, Trust
from annotation_ingest.imaging import ACCEPTED
from annotation_ingest.ports import ImageDecoder
from annotation_ingest.rules import BoxRules
from labelstream import keys
from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected
from labelstream.events.annotation import AnnotationSettled, ImageRef, Outcome, Rejection
from labelstream.events.envelope import Envelope
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.streams.amqp import decode
from labelstream.streams.message import Delivery, Message
from labelstream.values import Position, sha256_hex
from labelstream.view import AnnotationView
from labelstream.wire.reading import read_submission
from labelstream.wire.submission import Submission, producer_hash

SOURCE = "annotation-ingest"
MAX_ID = 200  # characters of a producer's message id that a receipt repeats


@dataclass(frozen=True)
class Prepared:
    """A message, as far as it could be understood without the view."""

    delivery: Delivery
    message: Message | None = None
    submission: Submission | None = None
    content: Content | None = None
    rejected: Rejected | None = None


@dataclass(frozen=True)
class Settled:
    """A message's receipt; `rejected` when its bytes are to be parked."""

    delivery: Delivery
    envelope: Envelope
    rejected: Rejected | None

    def parked_at(self, place: Position | None) -> Envelope:
        """Return the receipt with the place where the message's bytes are kept."""
        event = self.envelope.event
        if self.rejected is None or place is None or not isinstance(event, AnnotationSettled):
            return self.envelope
        outcomes = tuple(
            o.model_copy(update={"rejection": o.rejection.model_copy(update={"parked": place})}) if o.rejection else o
            for o in event.outcomes
        )
        return replace(self.envelope, event=event.model_copy(update={"outcomes": outcomes}))


@dataclass(frozen=True)
class Ingest:
    """Gives the messages of one input stream their receipts."""

    trust: Trust
    boxes: BoxRules
    max_bytes: int  # of an image
    decoder: ImageDecoder
    blobs: Blobs
    health: Health
    hash_key: bytes

    async def prepare(self, delivery: Delivery) -> Prepared:
        """Decode the message, check it, and store its image; waits while the store is away."""
        prepared = Prepared(delivery)
        try:
            message = decode(delivery.raw)
            prepared = replace(prepared, message=message)
            submission = read_submission(message)
            prepared = replace(prepared, submission=replace(submission, image=None))  # the pixels go no further
            if submission.kind in {"created", "edited"}:
                prepared = replace(prepared, content=await self._content(submission))
        except Rejected as error:
            return replace(prepared, rejected=error)
        return prepared

    def settle(self, prepared: Prepared, view: AnnotationView) -> Settled:
        """Decide what becomes of the message; `view` holds what was decided before."""
        rejected = prepared.rejected
        outcomes: tuple[Outcome, ...] = ()
        if rejected is None and prepared.submission is not None:
            try:
                outcomes = Decider(view, self.trust).decide(prepared.submission, prepared.content)
            except Rejected as error:
                rejected = error
        if rejected is not None:
            outcomes = (_refused(prepared.submission, rejected),)
        return Settled(prepared.delivery, self._receipt(prepared, outcomes), rejected)

    async def _content(self, submission: Submission) -> Content:
        if submission.image is None and submission.kind == "created":
            raise Rejected(
                "image.missing", "the creation brings no image", f"Send the image file ({ACCEPTED}) in the message."
            )
        shapes = self.boxes.shapes(submission.boxes)
        return Content(await self._stored(submission.image) if submission.image is not None else None, shapes)

    async def _stored(self, data: bytes) -> ImageRef:
        if len(data) > self.max_bytes:
            raise Rejected(
                "image.bytes",
                f"the image has {len(data)} bytes, {self.max_bytes} are allowed",
                "Send it compressed, scaled down, or cut into tiles.",
            )
        picture = await self.decoder.decode(data)
        digest = sha256_hex(data)
        key = keys.image(self.trust.project, digest, picture.extension)
        await patiently(self.health, "object store", lambda: self.blobs.create(key, data))
        return ImageRef(
            key=key,
            sha256=digest,
            size_bytes=len(data),
            format=picture.format,
            width=picture.width,
            height=picture.height,
        )

    def _receipt(self, prepared: Prepared, outcomes: tuple[Outcome, ...]) -> Envelope:
        delivery, message, submission = prepared.delivery, prepared.message, prepared.submission
        place = Position(stream=delivery.stream, offset=delivery.offset)
        event = AnnotationSettled(
            input=place,
            message_id=message.message_id[:MAX_ID] if message and message.message_id else None,
            message_key=submission.message_key if submission else sha256_hex(delivery.raw),
            producer=producer_hash(submission.producer, self.hash_key) if submission else None,
            wire=submission.wire if submission else "unknown",
            outcomes=outcomes,
        )
        return Envelope.of(
            event,
            source=SOURCE,
            answers=f"{place.stream}/{place.offset}",
            project=self.trust.project,
            flow=(message.correlation_id or "")[:MAX_ID] if message else "",
            traceparent=str(message.properties.get("traceparent", ""))[:MAX_ID] if message else "",
        )


def _refused(submission: Submission | None, error: Rejected) -> Outcome:
    name = submission.names[0] if submission and len(submission.names) == 1 else None
    rejection = Rejection(rule=error.rule, reason=error.reason, hint=error.hint)
    return Outcome(name=name, outcome="rejected", rejection=rejection)
