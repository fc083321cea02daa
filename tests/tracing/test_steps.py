"""From an event to what answers it: whose child each is, whether or not anybody traces."""

from __future__ import annotations

import pytest

from augmenter.batching import Batching
from augmenter.domain import Limits
from labelstream.events.annotation import Annotation, AnnotationSettled, ImageRef, Outcome
from labelstream.events.base import SERVING_EVENTS
from labelstream.events.batch import BatchAugmented, Member, Range
from labelstream.events.envelope import Envelope
from labelstream.events.serving import ModelActivated
from labelstream.service.health import Health
from labelstream.service.tracing import MOST_LINKS, Span, is_traceparent, new_traceparent, recording
from labelstream.streams.amqp import decode
from labelstream.streams.journal import Journal
from labelstream.streams.memory import MemoryBroker
from labelstream.values import FileRef, Position
from trainer.deciding.traces import Traces

CAUSE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def activated(number: int = 1, **causes) -> Envelope:
    event = ModelActivated(model=f"m{number}", number=number, replica="r", artifact="onnx-fp32", seconds=1)
    return Envelope.of(event, source="test", answers=str(number), project="default", **causes)


async def stored(*envelopes: Envelope, broker: MemoryBroker | None = None) -> MemoryBroker:
    broker = broker or MemoryBroker()
    journal = Journal(broker, SERVING_EVENTS, ["a"], lambda *_: None, Health())
    await journal.open()
    await journal.append("a", list(enumerate(envelopes, 1)))
    return broker


def trace(traceparent: str) -> str:
    return traceparent.split("-")[1]


def test_without_tracing_an_event_carries_its_causes_context_on():
    envelope = activated(traceparent=CAUSE)
    assert (envelope.traceparent, envelope.step) == (CAUSE, None)
    assert is_traceparent(activated().traceparent)


def test_what_answers_an_event_is_a_child_in_its_trace(traced):
    envelope = activated(traceparent=CAUSE)
    assert is_traceparent(envelope.traceparent)
    assert envelope.traceparent != CAUSE
    assert trace(envelope.traceparent) == trace(CAUSE)


def test_a_retry_says_the_same_id_and_the_same_context_and_the_id_is_that_without_tracing():
    without = activated(traceparent=CAUSE)
    with recording(_Nowhere()):
        once, again = activated(traceparent=CAUSE), activated(traceparent=CAUSE)
        other = activated(2, traceparent=CAUSE)
    assert once.traceparent == again.traceparent != other.traceparent
    assert without.id == once.id == again.id


async def test_a_span_is_told_once_the_event_is_stored_and_begins_when_its_cause_was_said(traced):
    cause = activated(1, traceparent=CAUSE)
    assert traced == []
    await stored(cause)
    answer = activated(2, traceparent=cause.traceparent)
    await stored(answer)
    first, second = traced
    assert (first.parent, second.parent) == (CAUSE, cause.traceparent)
    assert (second.name, second.traceparent) == ("model.activated", answer.traceparent)
    assert second.start_ns == cause.time_ms * 1_000_000 <= second.end_ns


async def test_whoever_reads_an_event_of_another_program_begins_when_it_was_said(traced):
    broker = await stored(activated(1, traceparent=CAUSE))
    (delivery,) = await broker.reader(SERVING_EVENTS, "first").read()
    cause = Envelope.from_message(decode(delivery.raw))
    await stored(activated(2, traceparent=cause.traceparent))
    assert traced[-1].start_ns == cause.time_ms * 1_000_000


async def test_a_journal_reads_back_what_it_wrote_although_the_context_is_another(traced):
    broker = await stored(activated(traceparent=CAUSE))
    heard = []
    journal = Journal(broker, SERVING_EVENTS, ["a"], lambda _, envelope: heard.append(envelope), Health())
    assert await journal.open() == {"a": 1}
    await journal.append("a", [(2, activated(2, traceparent=heard[0].traceparent))])
    assert [one.event.number for one in heard] == [1, 2]
    assert {trace(one.traceparent) for one in heard} == {trace(CAUSE)}


async def test_many_causes_are_linked_but_for_the_newest_and_not_more_than_are_looked_at(traced):
    many = [new_traceparent() for _ in range(3 * MOST_LINKS)]
    await stored(activated(traceparent=CAUSE, links=[CAUSE, "no context", *many, many[0]]))
    assert traced[0].parent == CAUSE
    assert list(traced[0].links) == many[:MOST_LINKS]


@pytest.mark.parametrize(
    "given", ["", "nonsense", "00-" + 32 * "0" + "-b7ad6b7169203331-01", "01-xyz", CAUSE.upper()], ids=str
)
def test_a_context_that_is_none_begins_a_trace(traced, given):
    assert is_traceparent(activated(traceparent=given).traceparent)


async def test_a_trace_that_its_producer_does_not_sample_is_not_told(traced):
    await stored(activated(traceparent=CAUSE[:-2] + "00"))
    assert traced == []


async def test_a_share_of_the_traces_is_told_as_a_whole_or_not_at_all():
    kept = _Nowhere()
    with recording(kept, sample=0.5):
        for number in range(1, 101):
            cause = activated(number, traceparent=new_traceparent())
            await stored(cause)
            await stored(activated(1000 + number, traceparent=cause.traceparent))
    told = [trace(span.traceparent) for span in kept.spans]
    assert 40 <= len(told) <= 160
    assert {told.count(one) for one in told} == {2}


class _Nowhere:
    def __init__(self) -> None:
        self.spans: list[Span] = []

    def record(self, span: Span) -> None:
        self.spans.append(span)

    def close(self) -> None:
        pass


IMAGE = ImageRef(key="images/1.jpg", sha256="0" * 64, size_bytes=10, format="jpeg", width=4, height=4)


def receipt(number: int) -> Envelope:
    image = IMAGE.model_copy(update={"sha256": f"{number:064d}"})
    annotation = Annotation(image=image, medium="m", labels="1" * 64, schema_digest="2" * 64)
    outcome = Outcome(name=f"n{number}", outcome="recorded", validated=True, annotation=annotation)
    event = AnnotationSettled(
        input=Position(stream="annotations", offset=number), message_key="k", wire="native", outcomes=(outcome,)
    )
    return Envelope.of(event, source="annotation-ingest", answers=str(number), project="default")


def test_a_batch_goes_on_with_the_newest_of_its_annotations():
    batching = Batching("default", 0, Limits(), lambda *_: None, lambda _: False)
    receipts = [receipt(number) for number in range(3)]
    for offset, envelope in enumerate(receipts):
        batching.add(offset, envelope, now=0.0)
    assert list(batching.close().traces) == [one.traceparent for one in reversed(receipts)]
    assert batching.close().traces == ()


def test_a_training_goes_on_with_the_newest_batch_of_its_dataset():
    traces, said = Traces(), []
    for number in range(3):
        member = Member(
            image="0" * 64, labels="1" * 64, phash="0" * 16, name="n", offset=10 * number, archive=0, variants=()
        )
        event = BatchAugmented(
            input=Range(stream="annotation-events", first=10 * number, last=10 * number + 9),
            recipe="3" * 64,
            archive=FileRef(key="a", sha256="0" * 64, size_bytes=1),
            members=(member,),
        )
        said.append(Envelope.of(event, source="augmenter", answers=str(number), project="default"))
        traces.fold(number, said[-1])
    assert traces.up_to("default", 15) == (said[1].traceparent, said[0].traceparent)
    assert traces.up_to("another", 15) == ()
