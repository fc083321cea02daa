"""What was refused is listed, and brought again once what it lacked is there."""

import json

import pytest

from labelstream.events.annotation import AnnotationSettled
from labelstream.streams.amqp import encode
from labelstream.streams.message import Message

from .calling import call
from .conftest import Reference
from .course import SCHEMA, push
from .drawing import shot
from .watching import Onlooker

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(900)]


def _with_class(name: str, known_as: str) -> Message:
    """Return a shot whose boxes are of one class, not validated: it counts for no training."""
    one = shot(name, name)
    return one.message(boxes=[{**box, "class": known_as} for box in one.boxes], validated=False)


async def test_a_refused_message_is_replayed_once_its_class_is_there(reference: Reference, see: Onlooker) -> None:
    start = await see.end(AnnotationSettled.stream)
    first = await see.end("annotations")
    refused = [encode(_with_class("replayed", "hexagon")), encode(_with_class("overtaken", "hexagon")), b"noise"]
    await see.write("annotations", [*refused, encode(_with_class("overtaken", "disc"))])
    await see.heard(AnnotationSettled, lambda receipt: receipt.input.offset == first + 3, start)

    listed = json.loads(await call(reference.stack, "parked", "list", "--limit", "3", "--json"))
    newest, second, oldest = listed["messages"]
    assert [one["rule"] for one in listed["messages"]] == ["message.undecodable", "class.unknown", "class.unknown"]
    assert [one["names"] for one in listed["messages"]] == [[], ["overtaken"], ["replayed"]]
    assert {one["state"] for one in listed["messages"]} == {"parked"}
    assert oldest["hint"]

    await call(reference.stack, "schema", "add", "hexagon")
    shown = json.loads(await call(reference.stack, "schema", "show", "--json"))
    assert shown["classes"] == [*SCHEMA["classes"], "hexagon"]

    positions = [str(one["position"]) for one in (oldest, second, newest)]
    replayed = json.loads(await call(reference.stack, "parked", "replay", *positions, "--wait", "--json", expected=2))
    outcomes = [[became["outcome"] for became in one["outcomes"]] for one in replayed["messages"]]
    assert outcomes == [["recorded"], ["superseded"], []]
    assert [one["published"] for one in replayed["messages"]] == [True, True, False]

    (receipt,) = [
        one for one in await see.said(AnnotationSettled, start) if one.replays and one.replays.offset == first
    ]
    assert (receipt.outcomes[0].name, receipt.outcomes[0].outcome) == ("replayed", "recorded")
    await call(reference.stack, "parked", "drop", positions[2], "--yes")
    after = json.loads(await call(reference.stack, "parked", "list", "--limit", "3", "--json"))
    assert [one["state"] for one in after["messages"]] == ["dropped", "replayed", "replayed"]


async def test_ingest_goes_on_parking_behind_markers(reference: Reference, see: Onlooker) -> None:
    start = await see.end(AnnotationSettled.stream)
    for name in ("before-the-marker", "behind-the-marker"):
        (refused,) = await push(reference.stack, [_with_class(name, "zeppelin")], name=name)
        rejection = refused.outcomes[0].rejection
        assert rejection is not None
        assert rejection.parked is not None
        listed = json.loads(await call(reference.stack, "parked", "show", str(rejection.parked.offset), "--json"))
        assert (listed["names"], listed["input"]["offset"]) == ([name], refused.input.offset)
        await call(reference.stack, "parked", "drop", str(rejection.parked.offset), "--yes")
    assert await see.end(AnnotationSettled.stream) > start
