"""What the view holds for annotations that are still to come, and what it forgets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from labelstream.classes import ClassSchema
from labelstream.events.annotation import (
    Annotation,
    AnnotationErased,
    AnnotationSettled,
    Asked,
    HeldEdit,
    ImageRef,
    Outcome,
    Settlement,
)
from labelstream.events.base import Event
from labelstream.events.envelope import Envelope
from labelstream.labels import Box, labels_digest
from labelstream.values import Position, sha256_hex
from labelstream.view import AnnotationView

P = "default"
BOX = Box(class_id=3, x=0.4, y=0.5, w=0.25, h=1.0)


def place(at: int) -> Position:
    return Position(stream="annotations", offset=at * 10)


def annotation(image: str, medium: str) -> Annotation:
    digest = sha256_hex(image.encode())
    ref = ImageRef(key=f"{P}/images/{digest}.png", sha256=digest, size_bytes=7, format="png", width=6, height=4)
    return Annotation(
        image=ref,
        medium=medium,
        shapes=(BOX,),
        labels=labels_digest([BOX]),
        tags=("night",),
        schema_digest=sha256_hex(b"schema"),
    )


class Log:
    """Folds one event after the other."""

    def __init__(self, view: AnnotationView) -> None:
        self.view = view
        self.next = 0

    def settled(self, asked: Asked | None, *outcomes: Outcome, **more: Any) -> int:
        event = AnnotationSettled(
            input=place(self.next), message_key=f"{self.next}", wire="native", asked=asked, outcomes=outcomes, **more
        )
        return self._fold(event)

    def recorded(self, name: str, image: str, medium: str = "film", asked: Asked = "created") -> int:
        content = annotation(image, medium)
        return self.settled(
            asked, Outcome(name=name, outcome="recorded", revision=1, validated=True, annotation=content)
        )

    def edited(self, name: str, image: str, medium: str = "film") -> int:
        content = annotation(image, medium)
        return self.settled(
            "edited", Outcome(name=name, outcome="edited", revision=2, validated=True, annotation=content)
        )

    def erased(self, *names: str, medium: str | None = None) -> AnnotationErased:
        found = self.view.to_erase(P, names, medium, 600_000)
        event = AnnotationErased(
            input=place(self.next),
            message_key=f"{self.next}",
            names=found.names,
            images=tuple(image.sha256 for image in found.images),
            kept_images=tuple(image.sha256 for image in found.kept),
            remaining=found.remaining,
        )
        self._fold(event)
        return event

    def _fold(self, event: Event) -> int:
        self.view.apply(self.next, Envelope.of(event, source="test", answers=f"{self.next}", project=P))
        self.next += 1
        return self.next - 1


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(AnnotationView(tmp_path / "view.sqlite"))


def test_a_held_edit_comes_back_as_it_was_sent(log: Log) -> None:
    edit = HeldEdit(shapes=(BOX,), source="ai", tags=("t",), schema_digest="d")
    at = log.settled("edited", Outcome(name="a", outcome="held", validated=True, edit=edit))
    (held,) = log.view.held(P, "a")
    assert (held.asked, held.offset, held.input, held.validated, held.edit) == ("edited", at, place(at), True, edit)
    assert log.view.held("other", "a") == []


def test_what_a_receipt_settles_is_held_no_longer(log: Log) -> None:
    first = log.settled("validated", Outcome(name="a", outcome="held", validated=True))
    log.settled("deleted", Outcome(name="a", outcome="held", validated=False))
    settles = (Settlement(name="a", input=place(first), asked="validated", outcome="expired"),)
    log.settled("created", Outcome(name="b", outcome="rejected"), settles=settles)
    assert [one.asked for one in log.view.held(P, "a")] == ["deleted"]


def test_early_receipts_that_did_not_say_what_was_asked_are_understood(log: Log) -> None:
    log.settled(None, Outcome(name="a", outcome="held", validated=True), Outcome(name="b", outcome="held"))
    assert [log.view.held(P, name)[0].asked for name in ("a", "b")] == ["validated", "deleted"]
    log.settled(
        None, Outcome(name="a", outcome="recorded", revision=1, validated=True, annotation=annotation("i", "m"))
    )
    assert log.view.held(P, "a") == []


def test_the_receipt_of_a_message_is_found(log: Log) -> None:
    log.recorded("a", "one")
    at = log.recorded("b", "two")
    assert log.view.receipt_of(place(at)) == at
    assert log.view.receipt_of(Position(stream="annotations", offset=5)) is None
    assert log.view.receipt_of(Position(stream="elsewhere", offset=10)) is None


def test_only_new_images_count_as_stored(log: Log) -> None:
    log.recorded("a", "one")
    log.recorded("b", "one")
    log.edited("a", "two")
    assert log.view.stored_bytes("annotations") == 14
    assert log.view.stored_bytes("elsewhere") == 0


def test_the_class_schema_can_be_read_as_of_any_offset(log: Log) -> None:
    log.recorded("a", "one")
    old, new = (ClassSchema(name="s", version=len(c), classes=c) for c in (("car",), ("car", "bus")))
    first = log.settled("schema_changed", Outcome(outcome="recorded"), class_schema=old)
    second = log.settled("schema_changed", Outcome(outcome="recorded"), class_schema=new)
    assert log.view.class_schema(P) == new
    assert log.view.class_schema(P, at=second - 1) == old
    assert log.view.class_schema(P, at=first - 1) is None
    assert log.view.class_schema("other") is None


def test_an_erased_annotation_never_was(log: Log) -> None:
    log.recorded("a", "one")
    log.recorded("b", "two")
    before = log.edited("a", "three")
    log.settled("deleted", Outcome(name="c", outcome="held", validated=False))
    erased = log.erased("a", "c", "nobody")
    assert erased.names == ("a", "c")
    assert set(erased.images) == {sha256_hex(b"one"), sha256_hex(b"three")}
    assert [entry.name for entry in log.view.validated(P)] == ["b"]
    assert [entry.name for entry in log.view.validated(P, at=before)] == ["b"]
    assert log.view.entry(P, "a") is None
    assert log.view.held(P, "c") == []
    assert log.view.image_medium(P, sha256_hex(b"one")) is None
    assert log.view.seen(P, f"{log.next - 1}") == place(log.next - 1)
    log.recorded("a", "one")
    assert log.view.entry(P, "a") is not None


def test_an_image_that_another_annotation_shows_is_kept(log: Log) -> None:
    log.recorded("a", "one")
    log.recorded("b", "one")
    erased = log.erased("a")
    assert (erased.images, erased.kept_images) == ((), (sha256_hex(b"one"),))
    assert log.erased("b").images == (sha256_hex(b"one"),)


def test_a_medium_is_erased_with_every_annotation_of_it_and_of_its_images(log: Log) -> None:
    log.recorded("a", "one", medium="film")
    log.recorded("b", "one", medium="copy")
    log.recorded("c", "two", medium="other")
    log.recorded("d", "three", medium="other")
    log.edited("d", "four", medium="film")
    erased = log.erased(medium="film")
    assert erased.names == ("a", "b", "d")
    assert len(erased.images) == 3
    assert erased.kept_images == ()
    assert [entry.name for entry in log.view.validated(P)] == ["c"]
    assert log.erased(medium="nothing").names == ()


def test_an_erasure_names_no_more_than_it_has_room_for(log: Log) -> None:
    for number in range(10):
        log.recorded(f"name {number}", f"image {number}")
    first = log.view.to_erase(P, (), "film", most_bytes=300)
    assert (len(first.names), first.remaining) == (3, 7)
    assert len(log.view.to_erase(P, ("name 1", "name 2"), None, most_bytes=1).names) == 1
