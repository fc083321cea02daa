"""What the receipts of `annotation-events` say of one annotation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labelstream.events.annotation import AnnotationErased, AnnotationSettled, Outcome, Settlement
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.values import Position
from labelstream_cli.tracing.life import Life, Step, Tone

_CHANGES = {"recorded", "edited", "validated", "unvalidated"}


def take_receipt(life: Life, offset: int, envelope: Envelope) -> None:
    """Add what one event says of the annotation, if it says anything."""
    event = envelope.event
    if isinstance(event, AnnotationErased) and life.name in event.names:
        life.state, life.validated = "erased", False
        life.add(_erased(offset, envelope, event))
    if not isinstance(event, AnnotationSettled):
        return
    for outcome in event.outcomes:
        if outcome.name == life.name:
            _fold(life, offset, outcome)
            life.add(_settled(offset, envelope, event, outcome))
    for settlement in event.settles:
        if settlement.name == life.name:
            life.add(_settlement(offset, envelope, settlement))


def _fold(life: Life, offset: int, outcome: Outcome) -> None:
    if outcome.annotation is not None:
        content = outcome.annotation.image.sha256, outcome.annotation.labels
        life.contents[content] = outcome.revision or 1
        life.annotation = outcome.annotation
        life.first_offset = offset if life.first_offset is None else life.first_offset
    if outcome.outcome in _CHANGES or outcome.outcome == "deleted":
        life.revision = outcome.revision
        life.validated = bool(outcome.validated) and outcome.outcome != "deleted"
        life.state = "deleted" if outcome.outcome == "deleted" else "recorded"
    elif life.state in {None, "held", "rejected"}:
        life.state = outcome.outcome


def _settled(offset: int, envelope: Envelope, event: AnnotationSettled, outcome: Outcome) -> Step:
    return Step(
        time_ms=envelope.time_ms,
        place=Position(stream=ANNOTATION_EVENTS, offset=offset),
        stage="message",
        what=f"{event.asked or 'message'} → {outcome.outcome}{_as(outcome)}",
        details=tuple(_details(event, outcome)),
        tone=_tone(outcome),
        data={
            "message": event.input.model_dump(),
            "message_id": event.message_id,
            "wire": event.wire,
            "asked": event.asked,
            "producer": event.producer,
            "replays": event.replays.model_dump() if event.replays else None,
            **outcome.model_dump(mode="json", exclude_none=True),
        },
    )


def _as(outcome: Outcome) -> str:
    """Say what the annotation is after the message."""
    if outcome.revision is None or outcome.outcome in {"duplicated", "superseded"}:
        return ""
    validated = ", validated" if outcome.validated and outcome.outcome != "validated" else ""
    return f", revision {outcome.revision}{validated}"


def _details(event: AnnotationSettled, outcome: Outcome) -> Iterator[str]:
    message_id = f", id {event.message_id}" if event.message_id else ""
    yield f"{event.wire} message at {event.input.stream} {event.input.offset}{message_id}"
    if event.replays is not None:
        yield f"brings again the message that was refused at {event.replays.stream} {event.replays.offset}"
    if outcome.annotation is not None:
        image, shapes = outcome.annotation.image, len(outcome.annotation.shapes)
        boxes = f"{shapes} box" if shapes == 1 else f"{shapes} boxes"
        yield f"{boxes} on a {image.format} of {image.width}×{image.height}, image {image.sha256[:12]}"
    if outcome.repeats is not None:
        yield f"repeats the message at {outcome.repeats.stream} {outcome.repeats.offset}"
    if outcome.outcome == "held":
        yield "waits for its annotation to be created"
    rejection = outcome.rejection
    if rejection is not None:
        yield f"{rejection.rule}: {rejection.reason}"
        yield rejection.hint
        if rejection.parked is not None:
            yield f"its bytes: labelstream parked show {rejection.parked.offset}"
    yield from (f"{note.rule}: {note.reason}" for note in outcome.notes)


def _tone(outcome: Outcome) -> Tone:
    if outcome.outcome == "rejected":
        return "bad"
    return "good" if outcome.outcome in _CHANGES else "note"


def _settlement(offset: int, envelope: Envelope, settlement: Settlement) -> Step:
    held: dict[str, Any] = settlement.model_dump(mode="json")
    became = {"expired": "expired: its annotation did not come", "superseded": "superseded"}
    return Step(
        time_ms=envelope.time_ms,
        place=Position(stream=ANNOTATION_EVENTS, offset=offset),
        stage="message",
        what=f"held {settlement.asked} → {became.get(settlement.outcome, settlement.outcome)}",
        details=(f"the message at {settlement.input.stream} {settlement.input.offset} was held until now",),
        data={"settles": held},
    )


def _erased(offset: int, envelope: Envelope, event: AnnotationErased) -> Step:
    asked = f"medium {event.medium}" if event.medium else f"{len(event.names)} names"
    kept = f"; {len(event.kept_images)} stay, because another annotation shows them" if event.kept_images else ""
    return Step(
        time_ms=envelope.time_ms,
        place=Position(stream=ANNOTATION_EVENTS, offset=offset),
        stage="message",
        what="erased",
        details=(
            f"message at {event.input.stream} {event.input.offset} asked to erase {asked}",
            f"{len(event.images)} images were removed from the store{kept}",
        ),
        tone="bad",
        data={"message": event.input.model_dump(), "message_id": event.message_id, "medium": event.medium},
    )
