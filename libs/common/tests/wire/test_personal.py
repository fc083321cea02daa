from __future__ import annotations

from typing import Any

import msgpack
import orjson
import pytest

from labelstream.errors import Rejected
from labelstream.streams.message import Message
from labelstream.wire.personal import impersonal
from labelstream.wire.reading import read_submission

from .reading import azaion_message, native_message
from .samples import BOX, DETECTION

ADDRESS = "someone@example.org"


@pytest.mark.parametrize(
    "text",
    [
        ADDRESS,
        f"Some One <{ADDRESS}>",
        f"film of {ADDRESS.upper()}, part 3",
        f"{ADDRESS}.jpg",
        f"{ADDRESS}_0001.jpg",
        f"{ADDRESS}-0001.jpg",
        "annotations/a.b+c@sub.example.co.uk/1.jpg",
        "иван@почта.рф",
        "someone＠example.org",
        "someone%40example.org",
        "someone@example.jpg.org",
        "a@b.xn--p1ai",
        "two@2x.jpg a@b.de",
    ],
)
def test_an_address_is_known_as_one(text: str) -> None:
    assert impersonal(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "frame-1",
        "video@2x.jpg",
        "icon@3x.PNG.webp",
        "clip@night.mp4",
        "frame@1920x1080.v2.jpg",
        "cam@192.168.0.1",
        "photos/@handle.name/1",
        "@handle.name",
        "at @ example.org",
        "someone@host",
        "a@@b",
    ],
)
def test_what_only_has_an_at_is_no_address(text: str) -> None:
    assert impersonal(text) == text


@pytest.mark.parametrize(
    "message",
    [
        native_message({"name": ADDRESS}),
        native_message({"name": "n", "medium": f"{ADDRESS}.mp4"}),
        native_message({"name": "n", "tags": ["rain", ADDRESS]}),
        native_message({"name": "n", "boxes": [{**BOX, "class": ADDRESS}]}),
        native_message({"name": "n", "image_ref": {"key": f"in/{ADDRESS}.jpg", "sha256": "0" * 64}}),
        native_message({"names": ["a", ADDRESS]}, "annotation.validated"),
        native_message({"names": [ADDRESS]}, "annotation.erasure_requested"),
        native_message({"medium": ADDRESS}, "annotation.erasure_requested"),
        native_message({"name": "s", "classes": ["car", ADDRESS, ADDRESS]}, "class_schema.changed"),
        native_message({"name": ADDRESS, "classes": ["car"]}, "class_schema.changed"),
        azaion_message({1: ADDRESS, 2: "m", 3: 0}),
        azaion_message({1: "n", 2: ADDRESS, 3: 0}),
        azaion_message({1: "n", 2: "m", 5: orjson.dumps([{**DETECTION, "cls": ADDRESS}]).decode()}),
        azaion_message([["a", ADDRESS]], status=40),
    ],
    ids=range(14),
)
def test_an_address_in_a_text_that_is_kept_is_refused_and_not_repeated(message: Message) -> None:
    with pytest.raises(Rejected, match=r"text\.personal") as caught:
        read_submission(message)
    assert "someone" not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [ADDRESS, "someone%40example.org", msgpack.ExtType(5, ADDRESS.encode()), [ADDRESS], {ADDRESS: 1}],
    ids=range(5),
)
@pytest.mark.parametrize("field", ["split", "source", "validated", "boxes", "tags", "medium", "image", "name"])
def test_no_refusal_repeats_an_address(field: str, value: Any) -> None:
    with pytest.raises(Rejected) as caught:
        read_submission(native_message({"name": "n", field: value}))
    assert "someone" not in str(caught.value)


def test_a_producer_may_be_an_address_since_only_its_hash_is_kept() -> None:
    assert read_submission(native_message({"name": "n", "producer": ADDRESS})).producer == ADDRESS


def test_a_video_at_double_size_keeps_its_name() -> None:
    assert read_submission(native_message({"name": "video@2x.jpg"})).names == ("video@2x.jpg",)
