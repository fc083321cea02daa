from __future__ import annotations

from typing import Any

import orjson
import pytest

from labelstream.wire import azaion
from labelstream.wire.azaion_writer import AzaionWriter
from labelstream.wire.limits import MAX_BOXES, MAX_NAMES
from labelstream.wire.reading import read_submission
from labelstream.wire.submission import RawBox

from .reading import azaion_message, rule_of
from .samples import DETECTION


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


@pytest.mark.parametrize(("cls", "read_as"), [("3", 3), (3.0, 3), ("Truck(Wint)", "Truck(Wint)"), (" 21 ", 21)])
def test_a_class_may_be_a_number_in_any_spelling_or_a_name(cls: Any, read_as: int | str) -> None:
    assert read_submission(AzaionWriter().edited("n", [{**DETECTION, "cls": cls}])).boxes[0].cls == read_as


def test_a_bulk_message_takes_its_producer_by_the_look_of_it() -> None:
    body = [["a"], "Validated", "operator@example.org"]
    assert read_submission(azaion_message(body, status=30)).producer == "operator@example.org"


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
        ({5: '[{"cls": true, "x": 0.5, "y": 0.5, "w": 0.1, "h": 0.1}]'}, "message.malformed"),
        ({5: '[{"cls": 1.5, "x": 0.5, "y": 0.5, "w": 0.1, "h": 0.1}]'}, "message.malformed"),
        ({5: '[{"cls": 1, "x": true, "y": 0.5, "w": 0.1, "h": 0.1}]'}, "message.malformed"),
        ({5: '[{"cls": "\\ud800", "x": 0.5, "y": 0.5, "w": 0.1, "h": 0.1}]'}, "labels.not_json"),
        ({5: '[{"cls": "\\u0000", "x": 0.5, "y": 0.5, "w": 0.1, "h": 0.1}]'}, "message.malformed"),
        ({5: "[" * 5000}, "labels.not_json"),
        ({1: "n" * 513}, "message.malformed"),
        ({1: "a\x00b"}, "message.malformed"),
        ({2: "m" * 513}, "message.malformed"),
        ({1: None}, "name.missing"),
        ({1: 5}, "name.missing"),
    ],
)
def test_a_broken_azaion_body_is_refused_by_rule(fields: dict[int, Any], rule: str) -> None:
    assert rule_of(azaion_message({1: "n", 2: "m", 3: 0, **fields})) == rule


@pytest.mark.parametrize("body", [[], {}, 5, "text", {"name": "n"}])
def test_an_azaion_body_without_fields_is_refused(body: Any) -> None:
    assert rule_of(azaion_message(body)) == "message.malformed"


def test_more_names_or_detections_than_a_receipt_holds_are_refused() -> None:
    assert rule_of(azaion_message([["n"] * (MAX_NAMES + 1)], status=30)) == "message.too_large"
    assert rule_of(azaion_message([["n" * 500] * 401], status=40)) == "message.too_large"
    assert (
        rule_of(azaion_message({1: "n", 5: orjson.dumps([DETECTION] * (MAX_BOXES + 1)).decode()}))
        == "message.too_large"
    )


@pytest.mark.parametrize("names", [None, [], "a", [1], [""], [" "]])
def test_a_bulk_message_without_names_is_refused(names: Any) -> None:
    assert rule_of(azaion_message([names], status=40)) == "name.missing"


@pytest.mark.parametrize("field", [3, 4, 6, 7, 8, 9, 10, 30])
@pytest.mark.parametrize("value", [[1], {"a": 1}, 1e300, None, b"x", "text", True])
def test_fields_of_an_unexpected_type_are_tolerated(field: int, value: Any) -> None:
    assert read_submission(azaion_message({1: "n", 2: "m", field: value})).names == ("n",)
