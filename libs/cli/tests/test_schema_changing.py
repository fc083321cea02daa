"""Changing a project's class schema."""

import asyncio
from collections.abc import Awaitable

import pytest

from labelstream.classes import ClassSchema
from labelstream.events.annotation import AnnotationSettled, Outcome, Rejection
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.producer import Producer
from labelstream.streams.amqp import decode
from labelstream.streams.memory import MemoryBroker
from labelstream.values import Position
from labelstream.wire.reading import read_submission
from labelstream_cli.running import CommandFailed
from labelstream_cli.schema_changing import as_next, differences, publish_schema, with_classes

NOW = ClassSchema(name="roads", version=3, classes=("car", "bus"))


def test_classes_are_added_at_the_end_under_the_next_version() -> None:
    assert with_classes(NOW, ["lorry", " tram "]) == ClassSchema(
        name="roads", version=4, classes=("car", "bus", "lorry", "tram")
    )


@pytest.mark.parametrize(
    ("names", "problem"),
    [(["tram", "Bus"], "'Bus' is class 1 already"), (["tram", "TRAM"], "'TRAM' stands twice"), ([" "], "needs a name")],
    ids=["there already", "twice", "no name"],
)
def test_a_class_that_can_not_be_added_is_refused_before_it_is_sent(names: list[str], problem: str) -> None:
    with pytest.raises(CommandFailed, match=problem):
        with_classes(NOW, names)


def test_a_schema_that_gives_ids_another_meaning_is_refused_with_what_differs() -> None:
    wanted = ClassSchema(name="roads", classes=("bus",))
    assert differences(NOW, wanted) == [
        "class 0 is 'car' and would become 'bus'",
        "class 1 is 'bus' and would be gone",
    ]
    with pytest.raises(CommandFailed, match="class 1 is 'bus' and would be gone"):
        as_next(NOW, wanted)


def test_a_schema_from_a_file_gets_a_version_above_the_present_one() -> None:
    longer = ("car", "bus", "tram")
    assert as_next(NOW, ClassSchema(name="roads", classes=longer)).version == 4
    assert as_next(NOW, ClassSchema(name="roads", version=9, classes=longer)).version == 9


@pytest.fixture
async def broker() -> MemoryBroker:
    broker = MemoryBroker()
    for stream in ("annotations", ANNOTATION_EVENTS):
        await broker.ensure_stream(stream)
    return broker


async def answered(broker: MemoryBroker, outcome: Outcome) -> Awaitable[AnnotationSettled]:
    """Publish a schema and answer it as annotation-ingest would."""
    async with Producer(broker, "annotations", "cli") as producer:
        publishing = asyncio.create_task(publish_schema(producer, with_classes(NOW, ["tram"]), patience_s=20))
        while not broker.stored("annotations"):
            await broker.changed(1)
        (sent,) = [decode(delivery.raw) for delivery in broker.stored("annotations") or []]
        wanted = read_submission(sent).class_schema
        receipt = AnnotationSettled(
            input=Position(stream="annotations", offset=0), message_id=sent.message_id, message_key="key",
            wire="native", asked="schema_changed", outcomes=(outcome,), class_schema=wanted,
        )  # fmt: skip
        envelope = Envelope.of(receipt, source="annotation-ingest", answers="0", project="default")
        await broker.publisher(ANNOTATION_EVENTS, "annotation-ingest").publish([(1, envelope.to_message())])
        return await publishing


async def test_the_schema_is_published_and_its_receipt_returned(broker: MemoryBroker) -> None:
    receipt = await answered(broker, Outcome(outcome="recorded"))
    assert receipt.class_schema == ClassSchema(name="roads", version=4, classes=("car", "bus", "tram"))


async def test_a_refused_schema_says_why(broker: MemoryBroker) -> None:
    refusal = Rejection(rule="trust.may_not_change_schema", reason="this stream may not", hint="Use another.")
    with pytest.raises(CommandFailed, match="this stream may not"):
        await answered(broker, Outcome(outcome="rejected", rejection=refusal))


async def test_without_a_receipt_it_says_so(broker: MemoryBroker) -> None:
    async with Producer(broker, "annotations", "cli") as producer:
        with pytest.raises(CommandFailed, match="the schema is on its way"):
            await publish_schema(producer, with_classes(NOW, ["tram"]), patience_s=0.1)
