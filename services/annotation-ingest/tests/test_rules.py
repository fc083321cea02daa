from __future__ import annotations

import ast
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import annotation_ingest
from annotation_ingest.images.imaging import Picture, Refusal, look
from annotation_ingest.rules import RULES, check_boxes, to_shapes
from labelstream import wire
from labelstream.classes import ClassSchema
from labelstream.errors import Rejected
from labelstream.events.annotation import AnnotationSettled, Note
from labelstream.events.envelope import Envelope
from labelstream.labels import Shape, labels_digest
from labelstream.streams import amqp
from labelstream.streams.amqp import encode
from labelstream.streams.message import Delivery, Message
from labelstream.values import sha256_hex
from labelstream.wire import native
from labelstream.wire.azaion_writer import AzaionWriter
from labelstream.wire.submission import ImageReference, RawBox

ERRORS = sorted(rule for rule, one in RULES.items() if one.severity == "error")
WARNINGS = sorted(rule for rule, one in RULES.items() if one.severity == "warning")


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
    incoming: bytes | None = None  # the file that the message refers to


def box(**changes: Any) -> dict[str, Any]:
    return {"class": "car", "x": 0.5, "y": 0.5, "w": 0.2, "h": 0.1, **changes}


def saved(mode: str, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (8, 6)).save(buffer, kind, **options)
    return buffer.getvalue()


def messages() -> dict[str, Case]:
    """Return what is wrong with a message as such, and with what a stream may do."""
    labels = Message(body=msgpack.packb({1: "n", 5: "[{", 6: b"image"}), properties={"AnnotationStatus": 10})
    other = ClassSchema(name="example", version=2, classes=("a class of its own",))
    return {
        "message.undecodable": Case(b"\x00\x53\x75\xa0"),
        "message.unknown_type": Case(Message(body=b"\x80", subject="weather.reported")),
        "message.malformed": Case(native.write("n", b"image", [{"class": "car", "x": "left"}])),
        "message.too_large": Case(native.write_bulk("deleted", ["n"] * 6_000)),
        "labels.not_json": Case(labels),
        "name.missing": Case(native.write("", b"image", [])),
        "text.personal": Case(native.write_bulk("deleted", ["anna@example.org"])),
        "trust.may_not_validate": Case(native.write_bulk("validated", ["n"]), {"may_validate": False}),
        "trust.may_not_change_schema": Case(native.write_class_schema(other)),
        "trust.may_not_erase": Case(native.write_erasure(names=["n"])),
        "schema.not_append_only": Case(native.write_class_schema(other), {"may_change_schema": True}),
        "erasure.nothing": Case(native.write_erasure(names=["n"]), {"may_erase": True}),
    }


def images(picture: Any) -> dict[str, Case]:
    """Return what is wrong with an image, or with a reference to it."""
    image = picture()
    animation = saved("RGB", "WEBP", save_all=True, append_images=[Image.new("RGB", (8, 6), "red")])
    here, elsewhere = ImageReference("annotations/1", sha256_hex(image)), ImageReference("others/1", sha256_hex(image))
    return {
        "image.missing": Case(AzaionWriter().narrow("n")),
        "image.bytes": Case(native.write("n", bytes(1_000_001), [])),
        "image.pixels": Case(native.write("n", picture(size=(101, 100)), [])),
        "image.format": Case(native.write("n", picture(kind="GIF"), [])),
        "image.undecodable": Case(native.write("n", picture(kind="BMP", size=(60, 60))[:-200], [])),
        "image.animated": Case(native.write("n", animation, [])),
        "image.decoder_crashed": Case(native.write("n", image, []), {"decoder": Refusing("image.decoder_crashed")}),
        "image.decoder_timeout": Case(native.write("n", image, []), {"decoder": Refusing("image.decoder_timeout")}),
        "image.absent": Case(native.write("n", here, [])),
        "image.changed": Case(native.write("n", here, []), incoming=picture(1)),
        "image.foreign_key": Case(native.write("n", elsewhere, [])),
        "quota.image_bytes": Case(native.write("n", image, []), {"image_bytes": 10}),
    }


def boxes(picture: Any) -> dict[str, Case]:
    """Return what is wrong with a box."""
    changes = {
        "box.not_finite": {"x": math.nan},
        "box.confidence": {"confidence": 1.5},
        "box.degenerate": {"w": 0.0},
        "box.outside": {"x": 0.95, "w": 0.3},
        "class.unknown": {"class": "dragon"},
    }
    return {rule: Case(native.write("n", picture(), [box(**change)])) for rule, change in changes.items()}


async def settled(case: Case, make_ingest: Any) -> Any:
    ingest = make_ingest(**case.ingest)
    if case.incoming is not None:
        await ingest.pictures.incoming.put("annotations/1", case.incoming)
    raw = encode(case.message) if isinstance(case.message, Message) else case.message
    return ingest.settle(await ingest.prepare(Delivery("annotations", 7, raw)))


def outcome_of(envelope: Envelope) -> Any:
    event = envelope.event
    assert isinstance(event, AnnotationSettled)
    (outcome,) = event.outcomes
    return outcome


@pytest.mark.parametrize("rule", sorted(set(ERRORS) - {"internal.killed_service"}))
async def test_breaking_a_rule_gives_one_rejection_to_act_on(rule: str, make_ingest: Any, make_picture: Any) -> None:
    case = {**messages(), **images(make_picture), **boxes(make_picture)}[rule]
    found = await settled(case, make_ingest)
    outcome = outcome_of(found.envelope)
    assert found.rejected is not None
    assert outcome.outcome == "rejected"
    assert outcome.rejection.rule == rule
    assert outcome.rejection.reason
    assert outcome.rejection.hint.endswith(".")


async def test_a_message_that_ends_the_service_is_given_up(make_ingest: Any) -> None:
    found = make_ingest().killed(Delivery("annotations", 7, b"anything"), 3)
    assert outcome_of(found.envelope).rejection.rule == "internal.killed_service"


def noted(picture: Any) -> dict[str, tuple[bytes, list[dict[str, Any]]]]:
    """Return an image and boxes for each warning."""
    deep = Image.new("I;16", (8, 6))
    buffer = io.BytesIO()
    deep.save(buffer, "PNG")
    return {
        "box.clamped": (picture(), [box(x=0.905)]),
        "box.duplicate": (picture(), [box(), box()]),
        "image.cmyk": (saved("CMYK", "JPEG"), [box()]),
        "image.deep": (buffer.getvalue(), [box()]),
        "image.transparent": (saved("RGBA", "PNG"), [box()]),
    }


@pytest.mark.parametrize("rule", WARNINGS)
async def test_a_warning_is_noted_beside_what_was_recorded(rule: str, make_ingest: Any, make_picture: Any) -> None:
    image, labels = noted(make_picture)[rule]
    outcome = outcome_of((await settled(Case(native.write("n", image, labels)), make_ingest)).envelope)
    assert outcome.outcome == "recorded"
    assert [note.rule for note in outcome.notes] == [rule]


# ---- the sources and the list of rules


def sources() -> Iterator[ast.Module]:
    """Yield the code that raises and notes, without the list of the rules itself."""
    files = [amqp.__file__, *(Path(folder) for p in (annotation_ingest, wire) for folder in p.__path__)]
    for path in (Path(file) for file in files):
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            tree = ast.parse(file.read_text())
            tree.body = [node for node in tree.body if "RULES" not in ast.unparse(node)[:5]]
            yield tree


def said_rules(tree: ast.Module) -> Iterator[str]:
    """Yield the ids that are raised or noted."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func).rpartition(".")[2]
        first = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "rule"), None)
        says = name in {"Rejected", "Refusal", "_Refused", "Note"}
        if says and isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value


def test_every_rule_that_is_said_is_in_the_list() -> None:
    said = {rule for tree in sources() for rule in said_rules(tree)}
    assert len(said) > 20
    assert said <= RULES.keys()


def test_every_rule_in_the_list_is_said_somewhere() -> None:
    constants = {
        node.value
        for tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert RULES.keys() - constants == set()


def test_the_readme_lists_every_rule_as_it_is() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    section = readme.partition("## Rules\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{rule}` | {one.severity} | {one.text} |" for rule, one in RULES.items()]


@pytest.mark.parametrize(
    ("image", "fault"), [(b"no image at all", "no image format is recognised"), (None, "it is cut short or damaged")]
)
def test_an_image_that_can_not_be_decoded_is_told_about_in_plain_words(
    image: bytes | None, fault: str, make_picture: Any
) -> None:
    found = look(make_picture(kind="BMP", size=(60, 60))[:-200] if image is None else image, 10_000)
    assert isinstance(found, Refusal)
    assert found.reason.endswith(f"can't be decoded: {fault}")


# ---- boxes

SCHEMA = ClassSchema(name="s", version=3, classes=("car", "Truck"))


def shapes(*raw: RawBox, schema: ClassSchema = SCHEMA) -> tuple[tuple[Shape, ...], tuple[Note, ...]]:
    return to_shapes(check_boxes(raw, 0.01), schema)


def test_an_unknown_class_is_told_which_ones_there_are() -> None:
    with pytest.raises(Rejected) as caught:
        shapes(RawBox(2, 0.5, 0.5, 0.1, 0.1))
    assert "has the class 2" in caught.value.reason
    assert caught.value.hint == (
        "The schema s (version 3) has the 2 classes 0 car, 1 Truck. "
        "Send one of these, or add the class with `labelstream schema add`, then replay this message."
    )


def test_an_unknown_class_is_told_what_looks_like_it_and_no_more_than_ten() -> None:
    many = ClassSchema(name="m", version=1, classes=(*(f"vehicle {n:02}" for n in range(79)), "Truck"))
    with pytest.raises(Rejected) as caught:
        shapes(RawBox("truk", 0.5, 0.5, 0.1, 0.1), schema=many)
    assert caught.value.hint.startswith("Did you mean Truck? The schema m (version 1) has the 80 classes 0 vehicle 00,")
    assert caught.value.hint.partition(" Send one")[0].endswith("9 vehicle 09 and 70 more.")


def test_a_class_is_known_by_id_or_by_name_in_any_case() -> None:
    found, _ = shapes(RawBox(1, 0.5, 0.5, 0.1, 0.1), RawBox(" TRUCK", 0.5, 0.5, 0.2, 0.1))
    assert [shape.class_id for shape in found] == [1, 1]


def test_the_class_is_left_as_it_was_sent_until_the_schema_is_known() -> None:
    assert check_boxes([RawBox("dragon", 0.5, 0.5, 0.1, 0.1)], 0).boxes[0].cls == "dragon"


def test_a_box_that_sticks_out_a_little_is_cut_and_one_inside_is_left_alone() -> None:
    (cut, kept), notes = shapes(RawBox(0, 0.905, 0.5, 0.2, 0.1, 0.5), RawBox(0, 0.5, 0.5, 1.0, 1.0))
    assert cut.corners() == pytest.approx((0.805, 0.45, 1.0, 0.55))
    assert cut.confidence == 0.5
    assert (kept.x, kept.y, kept.w, kept.h) == (0.5, 0.5, 1.0, 1.0)
    assert notes == (Note(rule="box.clamped", reason="1 of 2 boxes cut at the border of the image: 0"),)


def test_what_rounding_makes_of_a_border_is_not_noted() -> None:
    assert check_boxes([RawBox(0, 0.95, 0.85, 0.1, 0.3000000001)], 0.01).notes == ()


def test_many_boxes_that_stick_out_make_one_note_that_lists_ten() -> None:
    checked = check_boxes([RawBox(0, 0.905, 0.5, 0.2, 0.1 + n / 1000) for n in range(25)], 0.01)
    (note,) = checked.notes
    assert note.reason.startswith("25 of 25 boxes")
    assert note.reason.endswith("0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 15 more")


@pytest.mark.parametrize("size", [(0.0, 0.1), (0.1, -0.1), (1e-9, 0.1)])
def test_a_box_without_an_area_is_refused(size: tuple[float, float]) -> None:
    with pytest.raises(Rejected, match=r"box\.degenerate"):
        shapes(RawBox(0, 0.5, 0.5, *size))


def test_a_box_that_lies_in_the_tolerance_alone_has_no_area() -> None:
    with pytest.raises(Rejected, match=r"box\.degenerate"):
        shapes(RawBox(0, -0.005, 0.5, 0.002, 0.1))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field_name", ["x", "y", "w", "h", "confidence"])
def test_no_number_of_a_box_may_be_infinite(field_name: str, number: float) -> None:
    values = {"x": 0.5, "y": 0.5, "w": 0.1, "h": 0.1, field_name: number}
    with pytest.raises(Rejected, match=r"box\.not_finite"):
        shapes(RawBox(0, **values))


@pytest.mark.parametrize("confidence", [-0.01, 1.01, 87.0])
def test_a_confidence_outside_0_to_1_is_refused(confidence: float) -> None:
    with pytest.raises(Rejected, match=r"box\.confidence"):
        shapes(RawBox(0, 0.5, 0.5, 0.1, 0.1, confidence))


def test_of_boxes_that_repeat_each_other_the_most_confident_stays() -> None:
    found, notes = shapes(
        RawBox(0, 0.5, 0.5, 0.1, 0.1),
        RawBox("car", 0.5, 0.50000001, 0.1, 0.1, 0.9),
        RawBox(0, 0.5, 0.5, 0.1, 0.1, 0.4),
        RawBox(1, 0.5, 0.5, 0.1, 0.1, 0.2),
    )
    assert [(shape.class_id, shape.confidence) for shape in found] == [(0, 0.9), (1, 0.2)]
    assert notes == (
        Note(rule="box.duplicate", reason="2 of 4 boxes left out: the same class and place as another: 1, 2"),
    )


def test_zero_and_minus_zero_are_one_place() -> None:
    found, _ = to_shapes(check_boxes([RawBox(0, 0.0, 0.0, 0.1, 0.1), RawBox(0, -0.0, 0.0, 0.1, 0.1)], 0.1), SCHEMA)
    assert len(found) == 1


number = st.floats() | st.floats(-0.2, 1.2)


@given(st.lists(st.tuples(number, number, number, number), max_size=4), st.floats(0, 0.4))
def test_what_passes_lies_inside_the_image_and_passes_again_unchanged(
    drawn: list[tuple[float, float, float, float]], tolerance: float
) -> None:
    try:
        checked = check_boxes([RawBox(0, *sides) for sides in drawn], tolerance)
    except Rejected:
        return
    for one in checked.boxes:
        assert one.w > 0
        assert one.h > 0
        assert min(one.x - one.w / 2, one.y - one.h / 2) >= -1.1e-6
        assert max(one.x + one.w / 2, one.y + one.h / 2) <= 1 + 1.1e-6
    kept, _ = to_shapes(checked, SCHEMA)
    again, _ = to_shapes(check_boxes([RawBox(s.class_id, s.x, s.y, s.w, s.h) for s in kept], 0.01), SCHEMA)
    assert labels_digest(again) == labels_digest(kept)
