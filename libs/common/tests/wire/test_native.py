from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgpack
import pytest

from labelstream.classes import ClassSchema
from labelstream.errors import Rejected
from labelstream.streams.message import Message
from labelstream.values import Position
from labelstream.wire import native
from labelstream.wire.limits import MAX_BOXES, MAX_NAMES, MAX_NAMES_BYTES
from labelstream.wire.reading import read_submission
from labelstream.wire.submission import ImageReference, RawBox

from .reading import native_message, rule_of
from .samples import BOX, IMAGE


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


@pytest.mark.parametrize("subject", [None, "annotation.unheard_of"])
def test_a_message_of_no_known_type_is_refused(subject: str | None) -> None:
    assert rule_of(Message(body=b"\x80", subject=subject)) == "message.unknown_type"


def test_an_image_may_be_referred_to() -> None:
    read = read_submission(native.write("n", ImageReference("in/1.jpg", "AB" * 32), [BOX]))
    assert read.image == ImageReference("in/1.jpg", "ab" * 32)


@pytest.mark.parametrize(
    "more",
    [
        {"image": b"pixels", "image_ref": {"key": "k", "sha256": "0" * 64}},
        {"image_ref": {"key": "k", "sha256": "0" * 63}},
        {"image_ref": {"key": "k", "sha256": "0" * 64 + "\n"}},
        {"image_ref": {"key": "k", "sha256": "g" * 64}},
        {"image_ref": {"key": "", "sha256": "0" * 64}},
        {"image_ref": {"key": "k" * 1025, "sha256": "0" * 64}},
        {"image_ref": {"key": "ж" * 513, "sha256": "0" * 64}},
        {"image_ref": {"key": "a\x00b", "sha256": "0" * 64}},
        {"image_ref": {"sha256": "0" * 64}},
        {"image_ref": "in/1.jpg"},
        {"image": "in/1.jpg"},
        {"tags": "rain"},
        {"tags": [""]},
        {"tags": ["  "]},
        {"tags": ["t" * 65]},
        {"tags": [1]},
        {"medium": ""},
        {"medium": "m" * 513},
        {"boxes": [{**BOX, "x": True}]},
        {"boxes": [{**BOX, "class": True}]},
        {"boxes": [{**BOX, "class": 1.5}]},
        {"boxes": [{**BOX, "class": "c" * 513}]},
        {"boxes": [{**BOX, "confidence": "high"}]},
        {"name": "a\x00b"},
        {"name": "line\nbreak"},
        {"validated": "no"},
        {"validated": 0},
        {"validated": None},
        {"medium": "a\x7f"},
    ],
    ids=lambda more: next(iter(more)),
)
def test_a_field_that_is_not_as_documented_is_refused(more: dict[str, Any]) -> None:
    assert rule_of(native_message({"name": "n", "boxes": [BOX], **more})) == "message.malformed"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"name": "n" * 513}, "the name has 513 characters, 512 are allowed"),
        ({"tags": [""]}, "tag 0 is empty"),
        ({"validated": "no"}, "validated is 'no', not true or false"),
        ({"split": "holdout"}, "split is 'holdout', not 'train', 'val' or 'test'"),
        ({"boxes": [BOX, "car"]}, "box 1 is 'car', not a map with string keys"),
        ({"boxes": [{**BOX, "x": None}]}, "x of box 0 is nothing, not a number"),
        ({"boxes": [{**BOX, "class": True}]}, "class of box 0 is true, neither a whole number nor a text"),
        ({"boxes": [{"class": 1}]}, "x of box 0 is missing"),
        ({"boxes": {"x": 1}}, "the list of boxes is a map of 1, not a list"),
        ({"image": "pixels"}, "image is 'pixels', not bytes (MessagePack bin)"),
        ({"image_ref": {"key": "k", "sha256": "0"}}, "sha256 of image_ref is not 64 hexadecimal digits"),
        ({"producer": 5}, "producer is of another kind, not a text"),
    ],
    ids=str,
)
def test_a_fault_is_told_in_plain_words(more: dict[str, Any], reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        read_submission(native_message({"name": "n", "boxes": [BOX], **more}))
    assert caught.value.reason == reason


def test_an_empty_list_of_names_is_told_as_such() -> None:
    with pytest.raises(Rejected) as caught:
        read_submission(native_message({"names": []}, "annotation.deleted"))
    assert caught.value.reason == "the list of names is empty"


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b'{"name": "n"}', "this looks like JSON"),
        (b"\xef\xbb\xbf [1]\n", "this looks like JSON"),
        (b"\x01\x02", "something stands behind its first value"),
        (b"\x93\x01", "it is cut short or damaged"),
        (b"\xc1", "it is cut short or damaged"),
        (b"\x91" * 5000, "it nests too deep"),
        (b"\xa2\xff\xfe", "a text in it is not UTF-8"),
        (b"\x81\x90\x01", "a map in it has a key that is a list or a map"),
    ],
    ids=range(8),
)
def test_a_body_that_is_not_message_pack_is_told_why(body: bytes, fault: str) -> None:
    with pytest.raises(Rejected) as caught:
        read_submission(Message(body=body, subject="annotation.submitted"))
    assert caught.value.reason == f"the body ({len(body)} bytes) is not MessagePack: {fault}"


def test_numbers_may_be_whole_or_of_single_precision() -> None:
    body = msgpack.packb(
        {"name": "n", "boxes": [{"class": 3, "x": 0.5, "y": 1, "w": 0.25, "h": 1}]}, use_single_float=True
    )
    assert read_submission(Message(body=body, subject="annotation.submitted")).boxes == (RawBox(3, 0.5, 1, 0.25, 1),)


def test_tags_are_stripped_and_stand_once_each_in_order() -> None:
    assert read_submission(native.write("n", IMAGE, [], tags=["rain ", "dusk", "rain"])).tags == ("dusk", "rain")
    assert read_submission(native.write("n", IMAGE, [])).tags == ()


def test_a_class_schema_is_read_with_its_names_stripped() -> None:
    body = {"name": "traffic", "classes": ["car ", "Bus"], "version": 3}
    read = read_submission(native_message(body, "class_schema.changed"))
    assert (read.kind, read.names) == ("schema_changed", ())
    assert read.class_schema == ClassSchema(name="traffic", version=3, classes=("car", "Bus"))
    assert read_submission(native_message({"name": "t", "classes": ["a"]}, "class_schema.changed")).class_schema == (
        ClassSchema(name="t", version=1, classes=("a",))
    )


@pytest.mark.parametrize(
    "body",
    [
        {"name": "t", "classes": []},
        {"name": "t"},
        {"classes": ["a"]},
        {"name": "t", "classes": ["a", "A"]},
        {"name": "t", "classes": ["a", " "]},
        {"name": "t", "classes": ["a", 1]},
        {"name": "t", "classes": ["c" * 201]},
        {"name": "t", "classes": ["a"], "version": 0},
        {"name": "t", "classes": ["a"], "version": 1 << 63},
        {"name": "t", "classes": ["a"], "version": "2"},
        {"name": "t\x00", "classes": ["a"]},
    ],
    ids=str,
)
def test_a_class_schema_that_is_none_is_refused(body: Any) -> None:
    assert rule_of(native_message(body, "class_schema.changed")) == "message.malformed"


def test_an_erasure_names_annotations_or_a_medium() -> None:
    by_name, by_medium = (
        read_submission(native.write_erasure(["a", "b"])),
        read_submission(native.write_erasure(medium="m")),
    )
    assert (by_name.kind, by_name.names, by_name.medium) == ("erased", ("a", "b"), None)
    assert (by_medium.kind, by_medium.names, by_medium.medium) == ("erased", (), "m")


@pytest.mark.parametrize("body", [{}, {"names": []}, {"names": ["a"], "medium": "m"}, {"medium": ""}], ids=str)
def test_an_erasure_of_nothing_or_of_both_is_refused(body: Any) -> None:
    assert rule_of(native_message(body, "annotation.erasure_requested")) == "message.malformed"


@pytest.mark.parametrize(("names", "medium"), [(None, None), (["a"], "m")])
def test_an_erasure_of_nothing_or_of_both_is_not_written(names: Any, medium: Any) -> None:
    with pytest.raises(ValueError, match="either"):
        native.write_erasure(names, medium)


@pytest.mark.parametrize("subject", ["annotation.validated", "annotation.deleted", "annotation.erasure_requested"])
@pytest.mark.parametrize(
    "names", [["n"] * (MAX_NAMES + 1), ["n" * 500] * (MAX_NAMES_BYTES // 500 + 1), ["ж" * 500] * 201], ids=len
)
def test_more_names_than_a_receipt_holds_are_refused(subject: str, names: list[str]) -> None:
    assert rule_of(native_message({"names": names}, subject)) == "message.too_large"


def test_more_boxes_tags_or_classes_than_a_receipt_holds_are_refused() -> None:
    assert rule_of(native_message({"name": "n", "boxes": [BOX] * (MAX_BOXES + 1)})) == "message.too_large"
    assert rule_of(native_message({"name": "n", "tags": ["t"] * 33})) == "message.too_large"
    for classes in ([str(n) for n in range(MAX_NAMES + 1)], [f"{n:0>100}" for n in range(2001)]):
        body = {"name": "s", "classes": classes}
        assert rule_of(native_message(body, "class_schema.changed")) == "message.too_large"


def test_a_blank_name_is_none() -> None:
    assert rule_of(native_message({"name": "  "})) == "name.missing"
    assert rule_of(native_message({"names": ["a", "  "]}, "annotation.deleted")) == "name.missing"


@pytest.mark.parametrize(
    ("properties", "replays"),
    [
        ({"labelstream_replays_stream": "in", "labelstream_replays_offset": 5}, Position(stream="in", offset=5)),
        ({"labelstream_replays_stream": "in", "labelstream_replays_offset": 0}, Position(stream="in", offset=0)),
        ({"labelstream_replays_stream": "in"}, None),
        ({"labelstream_replays_offset": 5}, None),
        ({"labelstream_replays_stream": "in", "labelstream_replays_offset": -1}, None),
        ({"labelstream_replays_stream": "in", "labelstream_replays_offset": True}, None),
        ({"labelstream_replays_stream": "in", "labelstream_replays_offset": "5"}, None),
        ({"labelstream_replays_stream": "", "labelstream_replays_offset": 5}, None),
        ({"labelstream_replays_stream": "s" * 256, "labelstream_replays_offset": 5}, None),
        ({"labelstream_replays_stream": "someone@example.org", "labelstream_replays_offset": 5}, None),
    ],
    ids=str,
)
def test_a_replay_says_what_it_brings_again(properties: dict[str, Any], replays: Position | None) -> None:
    message = native.write("n", b"pixels", [])
    again = replace(message, properties={**message.properties, **properties})
    assert read_submission(again).replays == replays
    assert read_submission(again).message_key == read_submission(message).message_key
