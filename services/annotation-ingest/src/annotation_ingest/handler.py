"""Turns one annotation message into its receipt, in two steps.

`prepare` may run for many messages at once: it decodes, checks and stores the image. `settle` runs in
the input's order and decides against the view.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

from annotation_ingest.decisions import holding
from annotation_ingest.decisions.erasure import decide_erasure
from annotation_ingest.decisions.trust import Trust
from annotation_ingest.domain import Content, Decider, Decision
from annotation_ingest.images.pictures import STORE, Pictures
from annotation_ingest.rules import check_boxes
from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected
from labelstream.events.annotation import AnnotationErased, AnnotationSettled, Outcome, Rejection
from labelstream.events.base import Event
from labelstream.events.envelope import Envelope
from labelstream.schemas.recorded import record_schema
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.streams.amqp import decode
from labelstream.streams.message import Delivery, Message
from labelstream.values import Position, sha256_hex
from labelstream.view import AnnotationView
from labelstream.wire.personal import impersonal
from labelstream.wire.reading import read_submission, replayed_by
from labelstream.wire.submission import Submission, producer_hash

SOURCE = "annotation-ingest"
MAX_ID = 200  # characters of a producer's message id that a receipt repeats
ERASURE = b"erasure_requested"  # stands in every message that asks for one, and in hardly any other


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
    rejected: Rejected | None = None
    to_delete: tuple[str, ...] = ()  # keys of objects that must be gone before the receipt says so

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
    box_tolerance: float  # in sides of the image
    hold_messages: int  # later messages of the project, after which a held one expires
    pictures: Pictures
    view: AnnotationView
    blobs: Blobs
    health: Health
    hash_key: bytes = field(repr=False)

    def asks_to_erase(self, delivery: Delivery) -> bool:
        """Say whether a message may ask to erase: it is then settled alone, since it takes objects away."""
        return ERASURE in delivery.raw

    async def prepare(self, delivery: Delivery) -> Prepared:
        """Decode the message, check it, and store its image; waits while the store is away.

        The image of a message that was settled before is not stored again: it may have been erased since.
        """
        prepared = Prepared(delivery)
        try:
            message = decode(delivery.raw)
            prepared = replace(prepared, message=replace(message, body=b""))
            submission = read_submission(message)
            prepared = replace(prepared, submission=replace(submission, image=None))  # the pixels go no further
            if submission.kind in {"created", "edited"} and self._decider.seen(submission) is None:
                prepared = replace(prepared, content=await self._content(submission))
        except Rejected as error:
            return replace(prepared, rejected=error)
        return prepared

    def settle(self, prepared: Prepared) -> Settled:
        """Decide what becomes of the message; the view holds what was decided before."""
        submission = prepared.submission
        if prepared.rejected is not None or submission is None:
            return self._refused(prepared, prepared.rejected or _unreadable())
        decider = self._decider
        try:
            if submission.kind == "erased" and decider.seen(submission) is None:
                return self._erased(prepared, submission)
            return self._settled(prepared, decider.decide(submission, prepared.content))
        except Rejected as error:
            return self._refused(prepared, error)

    def killed(self, delivery: Delivery, deaths: int) -> Settled:
        """Give up on a message that ended the service each time that it was alone in flight."""
        error = Rejected(
            "internal.killed_service",
            f"annotation-ingest ended {deaths} times while it worked on this message alone",
            "This is a fault of ours: report it with the service's log. The message can be replayed after an update.",
        )
        return self._refused(Prepared(delivery), error)

    async def follow_up(self, settled: Settled) -> None:
        """Do what a stored receipt asks for: keep the store's copy of the class schema level with the stream."""
        event = settled.envelope.event
        schema = event.class_schema if isinstance(event, AnnotationSettled) else None
        if schema is not None:
            await patiently(self.health, STORE, lambda: record_schema(self.blobs, self.trust.project, schema))

    @property
    def _decider(self) -> Decider:
        return Decider(self.view, self.trust)

    async def _content(self, submission: Submission) -> Content:
        if submission.image is None and submission.kind == "created":
            raise Rejected(
                "image.missing",
                "the creation brings no image",
                "Send the image file in the message, or a reference to it.",
            )
        checked = check_boxes(submission.boxes, self.box_tolerance)
        if submission.image is None:
            return Content(None, checked)
        stored = await self.pictures.store(
            submission.image, partial(self.trust.check_room, self.view), self._is_recorded
        )
        return Content(stored.image, checked, stored.notes)

    def _is_recorded(self, sha256: str) -> bool:
        return self.view.image_medium(self.trust.project, sha256) is not None

    # ---- receipts

    def _settled(self, prepared: Prepared, decision: Decision, rejected: Rejected | None = None) -> Settled:
        submission = prepared.submission
        told = {(one.name, one.asked) for one in decision.settles}
        expired = self.view.expired(self.trust.project, self.hold_messages, holding.MOST_EXPIRED)
        late = [one for one in expired if (one.name, one.asked) not in told]
        event = AnnotationSettled(
            input=_place(prepared),
            message_id=_message_id(prepared),
            message_key=submission.message_key if submission else sha256_hex(prepared.delivery.raw),
            producer=producer_hash(submission.producer, self.hash_key) if submission else None,
            wire=submission.wire if submission else "unknown",
            asked=submission.kind if submission else None,
            outcomes=decision.outcomes,
            settles=(*decision.settles, *holding.settle_all(late, "expired")),
            replays=replayed_by(prepared.message) if prepared.message else None,
            class_schema=decision.class_schema,
        )
        return Settled(prepared.delivery, self._envelope(prepared, event), rejected)

    def _refused(self, prepared: Prepared, error: Rejected) -> Settled:
        submission = prepared.submission
        name = submission.names[0] if submission and len(submission.names) == 1 else None
        rejection = Rejection(rule=error.rule, reason=error.reason, hint=error.hint)
        outcome = Outcome(name=name, outcome="rejected", rejection=rejection)
        return self._settled(prepared, Decision((outcome,)), error)

    def _erased(self, prepared: Prepared, submission: Submission) -> Settled:
        concerned = decide_erasure(self.view, self.trust, submission)
        event = AnnotationErased(
            input=_place(prepared),
            message_id=_message_id(prepared),
            message_key=submission.message_key,
            producer=producer_hash(submission.producer, self.hash_key),
            medium=submission.medium,
            names=concerned.names,
            images=tuple(image.sha256 for image in concerned.images),
            kept_images=tuple(image.sha256 for image in concerned.kept),
            remaining=concerned.remaining,
        )
        keys = tuple(image.key for image in concerned.images)
        return Settled(prepared.delivery, self._envelope(prepared, event), to_delete=keys)

    def _envelope(self, prepared: Prepared, event: Event) -> Envelope:
        delivery, message = prepared.delivery, prepared.message
        envelope = Envelope.of(
            event,
            source=SOURCE,
            answers=f"{delivery.stream}/{delivery.offset}",
            project=self.trust.project,
            flow=_short(message.correlation_id) if message else "",
            traceparent=_short(str(message.properties.get("traceparent", ""))) if message else "",
        )
        return envelope.since(delivery.timestamp_ms)


def _place(prepared: Prepared) -> Position:
    return Position(stream=prepared.delivery.stream, offset=prepared.delivery.offset)


def _message_id(prepared: Prepared) -> str | None:
    return _short(prepared.message.message_id) or None if prepared.message else None


def _short(text: str | None) -> str:
    """Return what a receipt may repeat of a producer's id: never an address, and no more than MAX_ID characters."""
    return (impersonal(text or "") or "")[:MAX_ID]


def _unreadable() -> Rejected:
    return Rejected("message.undecodable", "nothing could be read of the message", "Send a message of a known type.")
