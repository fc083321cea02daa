from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import msgpack
import pytest

from annotation_ingest.imaging import Picture
from annotation_ingest.rules import RULES, BoxRules
from labelstream.classes import ClassSchema
from labelstream.errors import Rejected
from labelstream.events.annotation import AnnotationSettled
from labelstream.streams.amqp import encode
from labelstream.streams.message import Delivery, Message
from labelstream.view import AnnotationView
from labelstream.wire import native
from labelstream.wire.azaion_writer import AzaionWriter
from labelstream.wire.submission import RawBox


@dataclass
class Refusing:
    """A decoder that refuses by one rule."""

    rule: str

    async def decode(self, data: bytes) -> Picture:
        raise Rejected(self.rule, f"{len(data)} bytes", "Send another.")


@dataclass
class Case:
    """A message that breaks a rule, and what it needs to do so."""

    message: Message | bytes
    ingest: dict[str, Any] = field(default_factory=dict)


def box(**changes: Any) -> dict[str, Any]:
    return {"class": "car", "x": 0.5, "y": 0.5, "w": 0.2, "h": 0.1, **changes}


def cases(picture: Any) -> dict[str, Case]:
    image = picture()
    labels = Message(body=msgpack.packb({1: "n", 5: "[{", 6: image}), properties={"AnnotationStatus": 10})
    return {
        "message.undecodable": Case(b"\x00\x53\x75\xa0"),
        "message.unknown_type": Case(Message(body=b"\x80", subject="weather.reported")),
        "message.malformed": Case(native.write("n", image, [{"class": "car", "x": "left"}])),
        "labels.not_json": Case(labels),
        "name.missing": Case(native.write("", image, [])),
        "image.missing": Case(AzaionWriter().narrow("n")),
        "image.bytes": Case(native.write("n", bytes(1_000_001), [])),
        "image.pixels": Case(native.write("n", picture(size=(101, 100)), [])),
        "image.format": Case(native.write("n", picture(kind="GIF"), [])),
        "image.undecodable": Case(native.write("n", picture(kind="BMP", size=(60, 60))[:-200], [])),
        "image.decoder_crashed": Case(native.write("n", image, []), {"decoder": Refusing("image.decoder_crashed")}),
        "image.decoder_timeout": Case(native.write("n", image, []), {"decoder": Refusing("image.decoder_timeout")}),
        "box.not_finite": Case(native.write("n", image, [box(x=math.nan)])),
        "box.degenerate": Case(native.write("n", image, [box(w=0.0)])),
        "box.outside": Case(native.write("n", image, [box(x=0.95, w=0.3)])),
        "class.unknown": Case(native.write("n", image, [box(**{"class": "dragon"})])),
        "annotation.unknown": Case(AzaionWriter().edited("n", [])),
        "trust.may_not_validate": Case(native.write_bulk("validated", ["n"]), {"may_validate": False}),
    }


def test_every_rule_has_a_case(make_picture: Any) -> None:
    assert cases(make_picture).keys() == RULES.keys()


@pytest.mark.parametrize("rule", sorted(RULES))
async def test_breaking_a_rule_gives_one_rejection_to_act_on(
    rule: str, make_ingest: Any, make_picture: Any, view: AnnotationView
) -> None:
    case = cases(make_picture)[rule]
    ingest = make_ingest(**case.ingest)
    raw = encode(case.message) if isinstance(case.message, Message) else case.message
    settled = ingest.settle(await ingest.prepare(Delivery("annotations", 7, raw)), view)
    event = settled.envelope.event
    assert isinstance(event, AnnotationSettled)
    assert settled.rejected is not None
    (outcome,) = event.outcomes
    assert outcome.outcome == "rejected"
    assert outcome.rejection is not None
    assert outcome.rejection.rule == rule
    assert outcome.rejection.reason
    assert outcome.rejection.hint.endswith((".", "dog"))


RULES_OF_BOXES = BoxRules(ClassSchema(name="s", version=3, classes=("car", "Truck")), tolerance=0.01)


def test_an_unknown_class_is_told_which_ones_there_are() -> None:
    with pytest.raises(Rejected) as caught:
        RULES_OF_BOXES.shapes([RawBox(2, 0.5, 0.5, 0.1, 0.1)])
    assert "has the class 2" in caught.value.reason
    assert caught.value.hint == "The schema s (version 3) has: 0 car, 1 Truck"


def test_a_class_is_known_by_id_or_by_name_in_any_case() -> None:
    shapes = RULES_OF_BOXES.shapes([RawBox(1, 0.5, 0.5, 0.1, 0.1), RawBox("TRUCK", 0.5, 0.5, 0.1, 0.1)])
    assert [shape.class_id for shape in shapes] == [1, 1]


def test_a_box_that_sticks_out_a_little_is_cut_and_one_inside_is_left_alone() -> None:
    cut, kept = RULES_OF_BOXES.shapes([RawBox(0, 0.905, 0.5, 0.2, 0.1, 0.5), RawBox(0, 0.5, 0.5, 1.0, 1.0)])
    assert cut.corners() == pytest.approx((0.805, 0.45, 1.0, 0.55))
    assert cut.confidence == 0.5
    assert (kept.x, kept.y, kept.w, kept.h) == (0.5, 0.5, 1.0, 1.0)


@pytest.mark.parametrize("size", [(0.0, 0.1), (0.1, -0.1), (1e-9, 0.1)])
def test_a_box_without_an_area_is_refused(size: tuple[float, float]) -> None:
    with pytest.raises(Rejected, match=r"box\.degenerate"):
        RULES_OF_BOXES.shapes([RawBox(0, 0.5, 0.5, *size)])


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field_name", ["x", "y", "w", "h", "confidence"])
def test_no_number_of_a_box_may_be_infinite(field_name: str, number: float) -> None:
    values = {"x": 0.5, "y": 0.5, "w": 0.1, "h": 0.1, field_name: number}
    with pytest.raises(Rejected, match=r"box\.not_finite"):
        RULES_OF_BOXES.shapes([RawBox(0, **values)])
