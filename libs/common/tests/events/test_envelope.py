"""Events on the wire: CloudEvents attributes around MessagePack, read back as they were said."""

from __future__ import annotations

import types
import typing

import pytest
from pydantic import BaseModel

from labelstream.errors import Rejected
from labelstream.events.annotation import AnnotationSettled, Outcome, Rejection
from labelstream.events.catalogue import EVENTS
from labelstream.events.envelope import Envelope
from labelstream.streams.amqp import decode, encode
from labelstream.streams.message import Message
from labelstream.values import Position

SETTLED = AnnotationSettled(
    input=Position(stream="annotations", offset=7),
    message_key="k",
    wire="unknown",
    outcomes=(Outcome(outcome="rejected", rejection=Rejection(rule="r", reason="x", hint="h")),),
)


def enveloped() -> Envelope:
    return Envelope.of(SETTLED, source="annotation-ingest", answers="annotations/7", project="farm", flow="f-1")


def test_an_event_comes_back_as_it_was_said():
    said = enveloped()
    assert Envelope.from_message(decode(encode(said.to_message()))) == said


def test_project_task_flow_and_trace_travel_with_it():
    said = enveloped()
    read = Envelope.from_message(decode(encode(said.to_message())))
    assert read is not None
    assert (read.project, read.task, read.flow, read.source) == ("farm", "detect", "f-1", "annotation-ingest")
    assert read.traceparent == said.traceparent
    assert read.event == SETTLED


def test_a_retry_of_the_same_answer_has_the_same_id():
    other = Envelope.of(SETTLED, source="annotation-ingest", answers="annotations/8", project="farm")
    assert enveloped().id == enveloped().id != other.id


def test_attributes_with_the_other_cloudevents_prefix_are_read_too():
    message = enveloped().to_message()
    renamed = {k.replace("cloudEvents_", "cloudEvents:"): v for k, v in message.properties.items()}
    read = Envelope.from_message(Message(body=message.body, properties=renamed))
    assert read is not None
    assert (read.project, read.event) == ("farm", SETTLED)


def test_an_event_of_an_unknown_type_is_none_and_a_malformed_one_is_rejected():
    assert Envelope.from_message(Message(body=b"x", subject="weather.changed")) is None
    with pytest.raises(Rejected, match=r"event\.malformed"):
        Envelope.from_message(Message(body=b"\x80", subject="annotation.settled"))


def models(kind: type[BaseModel], seen: set[type[BaseModel]]) -> set[type[BaseModel]]:
    seen.add(kind)
    for field in kind.model_fields.values():
        for part in [field.annotation, *typing.get_args(field.annotation)]:
            if isinstance(part, type) and issubclass(part, BaseModel) and part not in seen:
                models(part, seen)
    return seen


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_what_may_be_null_may_be_absent_since_nulls_do_not_travel(event):
    for model in models(event, set()):
        for name, field in model.model_fields.items():
            if isinstance(field.annotation, types.UnionType) and type(None) in typing.get_args(field.annotation):
                assert not field.is_required(), f"{model.__name__}.{name} needs a default"


def test_every_type_is_a_past_fact_of_one_stream():
    assert len({event.type for event in EVENTS}) == len(EVENTS)
    for event in EVENTS:
        assert "." in event.type
        assert event.stream.endswith("-events")
        assert event.__doc__
