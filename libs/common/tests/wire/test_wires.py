from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import pytest

from labelstream.errors import Rejected
from labelstream.streams.message import Message
from labelstream.wire import azaion, native
from labelstream.wire.azaion_writer import AzaionWriter
from labelstream.wire.reading import read_submission
from labelstream.wire.submission import RawBox, producer_hash, shown

BOX = {"class": "car", "x": 0.5, "y": 0.4, "w": 0.2, "h": 0.1}
DETECTION = {"cls": 21, "x": 0.5, "y": 0.4, "w": 0.2, "h": 0.1}
GOLDEN = Path(__file__).parent / "golden"


def rule_of(message: Message) -> str:
    with pytest.raises(Rejected) as caught:
        read_submission(message)
    assert caught.value.reason
    assert caught.value.hint
    return caught.value.rule


def azaion_message(body: Any, status: Any = 10) -> Message:
    return Message(body=msgpack.packb(body), properties={"AnnotationStatus": status})


# ---- native


def test_a_native_annotation_is_read_as_it_was_written() -> None:
    message = native.write(
        "n",
        b"pixels",
        [BOX],
        medium="film",
        split="val",
        validated=False,
        source="ai",
        producer="a@b.c",
        message_id="i",
    )
    read = read_submission(message)
    assert read.kind == "created"
    assert (read.names, read.image, read.medium, read.split) == (("n",), b"pixels", "film", "val")
    assert read.boxes == (RawBox("car", 0.5, 0.4, 0.2, 0.1),)
    assert (read.validated, read.source, read.producer, read.message_id) == (False, "ai", "a@b.c", "i")


def test_a_native_annotation_counts_as_validated_unless_it_says_otherwise() -> None:
    assert read_submission(native.write("n", b"pixels", [BOX])).validated


def test_the_subject_alone_may_say_the_type() -> None:
    message = replace(native.write_bulk("deleted", ["a", "b"]), properties={})
    assert read_submission(message).kind == "deleted"
    assert read_submission(message).names == ("a", "b")


def test_both_prefixes_of_cloud_events_are_read() -> None:
    message = Message(
        body=native.write_bulk("validated", ["a"]).body, properties={"cloudEvents:type": "annotation.validated"}
    )
    assert read_submission(message).kind == "validated"


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b"", "message.undecodable"),
        (b"\xc1", "message.undecodable"),
        (b"\x93\x01", "message.undecodable"),
        (b"\x81\x90\x01", "message.undecodable"),
        (b"\x91" * 5000, "message.undecodable"),
        (msgpack.packb([1]), "message.malformed"),
        (msgpack.packb({"image": b"x"}), "name.missing"),
        (
            msgpack.packb({"name": "n", "boxes": [{"class": 1, "x": "wide", "y": 0, "w": 0, "h": 0}]}),
            "message.malformed",
        ),
        (msgpack.packb({"name": "n", "boxes": [{"x": 0, "y": 0, "w": 0, "h": 0}]}), "message.malformed"),
        (msgpack.packb({"name": "n", "split": "holdout"}), "message.malformed"),
        (msgpack.packb({"name": "n" * 600}), "message.malformed"),
    ],
)
def test_a_broken_native_body_is_refused_by_rule(body: bytes, rule: str) -> None:
    assert rule_of(Message(body=body, subject="annotation.submitted")) == rule


def test_an_endless_list_of_names_is_refused() -> None:
    assert rule_of(native.write_bulk("validated", ["n"] * (native.MAX_NAMES + 1))) == "message.malformed"


@pytest.mark.parametrize("subject", [None, "annotation.unheard_of"])
def test_a_message_of_no_known_type_is_refused(subject: str | None) -> None:
    assert rule_of(Message(body=b"\x80", subject=subject)) == "message.unknown_type"


# ---- Azaion


@pytest.mark.parametrize("form", ["array", "map"])
@pytest.mark.parametrize("casing", [str.lower, str.upper, str.title, str.swapcase])
def test_an_azaion_creation_is_read_in_each_form(form: Any, casing: Any) -> None:
    writer = AzaionWriter(form=form, casing=casing, role=azaion.VALIDATOR, email="v@example.org", trailing=("later", 5))
    read = read_submission(writer.created("n", b"pixels", [{**DETECTION, "confidence": 0.5}], medium="film.mp4"))
    assert (read.kind, read.wire, read.names) == ("created", "azaion", ("n",))
    assert (read.image, read.medium, read.source) == (b"pixels", "film.mp4", "manual")
    assert read.boxes == (RawBox(21, 0.5, 0.4, 0.2, 0.1, 0.5),)
    assert (read.validated, read.producer) == (True, "v@example.org")


@pytest.mark.parametrize(
    ("role", "validates"),
    [
        (azaion.OPERATOR, False),
        (azaion.VALIDATOR, True),
        (azaion.COMPANION_PC, False),
        (azaion.ADMIN, True),
        (azaion.API_ADMIN, True),
    ],
)
def test_a_role_decides_whether_an_azaion_message_validates(role: int, validates: bool) -> None:
    writer = AzaionWriter(role=role)
    assert read_submission(writer.created("n", b"pixels", [])).validated is validates
    assert read_submission(writer.edited("n", [DETECTION])).validated is validates


@pytest.mark.parametrize("form", ["array", "map"])
def test_azaion_bulk_messages_are_read(form: Any) -> None:
    writer = AzaionWriter(form=form)
    validated, deleted = read_submission(writer.validated(["a", "b"])), read_submission(writer.deleted(["c"]))
    assert (validated.kind, validated.names, validated.producer) == ("validated", ("a", "b"), "operator@example.org")
    assert (deleted.kind, deleted.names) == ("deleted", ("c",))
    assert not validated.anonymous


def test_a_bulk_message_may_hold_nothing_but_names() -> None:
    read = read_submission(azaion_message([["a"]], status=30))
    assert read.names == ("a",)
    assert read.anonymous


def test_a_narrow_creation_keeps_its_email_out_of_the_medium() -> None:
    read = read_submission(AzaionWriter(email="o@example.org").narrow("n"))
    assert (read.names, read.medium, read.producer, read.image) == (("n",), None, "o@example.org", None)


@pytest.mark.parametrize("status", [10, "10", "Created", "created"])
def test_the_status_may_be_a_number_or_a_word(status: Any) -> None:
    assert read_submission(azaion_message([None, "n"], status)).kind == "created"


@pytest.mark.parametrize("status", [0, 99, "Lost", b"\xff"])
def test_an_unknown_status_is_refused(status: Any) -> None:
    assert rule_of(azaion_message([None, "n"], status)) == "message.unknown_type"


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({5: "[{"}, "labels.not_json"),
        ({5: 7}, "labels.not_json"),
        ({5: '{"cls": 1}'}, "labels.not_json"),
        ({5: '[{"cls": 1, "x": 0.5, "y": 0.5, "w": 0.1}]'}, "message.malformed"),
        ({5: '[{"cls": "one", "x": null, "y": 0.5, "w": 0.1, "h": 0.1}]'}, "message.malformed"),
        ({5: "[7]"}, "message.malformed"),
        ({1: None}, "name.missing"),
        ({1: 5}, "name.missing"),
    ],
)
def test_a_broken_azaion_body_is_refused_by_rule(fields: dict[int, Any], rule: str) -> None:
    assert rule_of(azaion_message({1: "n", 2: "m", 3: 0, **fields})) == rule


@pytest.mark.parametrize("body", [[], {}, 5, "text", {"name": "n"}])
def test_an_azaion_body_without_fields_is_refused(body: Any) -> None:
    assert rule_of(azaion_message(body)) == "message.malformed"


@pytest.mark.parametrize("names", [None, [], "a", [1], [""]])
def test_a_bulk_message_without_names_is_refused(names: Any) -> None:
    assert rule_of(azaion_message([names], status=40)) == "name.missing"


@pytest.mark.parametrize("field", [3, 4, 6, 7, 8, 9, 10, 30])
@pytest.mark.parametrize("value", [[1], {"a": 1}, 1e300, None, b"x", "text", True])
def test_fields_of_an_unexpected_type_are_tolerated(field: int, value: Any) -> None:
    assert read_submission(azaion_message({1: "n", 2: "m", field: value})).names == ("n",)


def golden_messages() -> dict[str, Message]:
    messages = {}
    for form in ("array", "map"):
        writer = AzaionWriter(form=form, role=azaion.VALIDATOR)  # type: ignore[arg-type]
        messages[f"created-{form}"] = writer.created("frame-1", b"pixels", [DETECTION])
        messages[f"edited-{form}"] = writer.edited("frame-1", [DETECTION])
        messages[f"validated-{form}"] = writer.validated(["frame-1", "frame-2"])
        messages[f"deleted-{form}"] = writer.deleted(["frame-1"])
        messages[f"narrow-{form}"] = writer.narrow("frame-1")
    return messages


@pytest.mark.parametrize("name", sorted(golden_messages()))
def test_the_golden_files_read_as_ever(name: str) -> None:
    """A changed file means that old messages would be read differently; `python test_wires.py` writes them anew."""
    body = (GOLDEN / f"{name}.msgpack").read_bytes()
    expected = json.loads((GOLDEN / f"{name}.json").read_text())
    written = golden_messages()[name]
    assert written.body == body
    assert described(replace(written, body=body)) == expected


def described(message: Message) -> dict[str, Any]:
    read = read_submission(message)
    return {
        "status": message.properties["AnnotationStatus"],
        "kind": read.kind,
        "names": list(read.names),
        "key": read.message_key,
        "boxes": [[b.cls, b.x, b.y, b.w, b.h, b.confidence] for b in read.boxes],
        "image": read.image.decode() if read.image else None,
        "medium": read.medium,
        "validated": read.validated,
        "producer": read.producer,
    }


# ---- identity


def test_two_deliveries_share_a_key_and_two_requests_do_not() -> None:
    first, second = (
        native.write_bulk("validated", ["a"], message_id="1"),
        native.write_bulk("validated", ["a"], message_id="2"),
    )
    assert read_submission(first).message_key == read_submission(first).message_key
    assert read_submission(first).message_key != read_submission(second).message_key


def test_a_dated_azaion_body_is_the_same_message_whatever_id_its_outbox_gives_it() -> None:
    message = AzaionWriter().created("n", b"pixels", [DETECTION])
    again = replace(message, message_id="another attempt")
    assert read_submission(message).message_key == read_submission(again).message_key


def test_the_same_names_validated_and_deleted_are_two_messages() -> None:
    bodies = {read_submission(azaion_message([["a"]], status)).message_key for status in (30, 40)}
    assert len(bodies) == 2


def test_a_producer_is_a_keyed_hash() -> None:
    first = producer_hash("Someone@Example.org", b"key")
    assert first == producer_hash(" someone@example.org ", b"key")
    assert first != producer_hash("someone@example.org", b"another key")
    assert first is not None
    assert "someone" not in first
    assert producer_hash(None, b"key") is None
    assert producer_hash("  ", b"key") is None


def test_a_reason_shows_values_short_and_no_email() -> None:
    assert "example" not in shown("someone@example.org")
    assert len(shown("x" * 1000)) < 100
    assert shown(b"12345") == "5 bytes"
    assert shown(0.5) == "0.5"


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for stem, golden in golden_messages().items():
        (GOLDEN / f"{stem}.msgpack").write_bytes(golden.body)
        (GOLDEN / f"{stem}.json").write_text(json.dumps(described(golden), indent=1) + "\n")
