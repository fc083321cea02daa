"""One trace, from a producer's message to the model that serves, told by the services of a running stack."""

from __future__ import annotations

import asyncio

import pytest

from labelstream.events.annotation import AnnotationSettled
from labelstream.events.envelope import Envelope
from labelstream.streams.amqp import decode

from ..tracing.collector import Collector, Told  # noqa: TID252  # tests are no package with a name
from .conftest import Reference
from .drawing import shot, the_push
from .watching import Onlooker, eventually, predict

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(900)]

# Who tells of each step, from the last to the first.
STEPS = [
    ("inference", "model.activated"),
    ("exporter", "model.promoted"),
    ("exporter", "model.exported"),
    ("trainer", "training.finished"),
    ("trainer", "training.requested"),
    ("augmenter", "batch.augmented"),
    ("annotation-ingest", "annotation.settled"),
    ("platform", "annotations publish"),
]
WORK = ["jobs.train", "jobs.export.onnx"]
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def spans(reference: Reference) -> list[Told]:
    """The spans of the traces that the course's producer began, once all of them told; they do so every few seconds."""
    asyncio.run(eventually(lambda: _is_told(reference.collector)))
    return _of_the_course(reference.collector)


def _of_the_course(collector: Collector) -> list[Told]:
    traces = {span.trace for span in collector.told if span.program == "platform"}
    return [span for span in collector.told if span.trace in traces]


def _is_told(collector: Collector) -> bool:
    of_course = _of_the_course(collector)
    names = {span.name for span in of_course}
    return (
        {name for _, name in STEPS} | set(WORK) <= names
        and len(_named(of_course, "annotation.settled")) >= len(the_push())
        and not _orphans(of_course)
    )


def _named(spans: list[Told], name: str) -> list[Told]:
    return [span for span in spans if span.name == name]


def _orphans(spans: list[Told]) -> list[Told]:
    known = {span.id for span in spans}
    return [span for span in spans if span.parent and span.parent not in known]


def test_one_trace_leads_from_a_message_to_the_model_that_serves(reference: Reference, spans: list[Told]) -> None:
    activated = _named(spans, "model.activated")[0]
    way = [activated, *reference.collector.above(activated)]
    assert [(span.program, span.name) for span in way] == STEPS
    assert {span.trace for span in way} == {activated.trace}
    assert way[-1].parent == ""


def test_every_message_begins_a_trace_and_its_receipt_is_in_it(spans: list[Told]) -> None:
    published, settled = _named(spans, "annotations publish"), _named(spans, "annotation.settled")
    assert len({span.trace for span in published}) == len(published) == len(the_push())
    assert {span.id for span in published} == {span.parent for span in settled}


def test_the_annotations_of_a_batch_and_the_batches_of_a_dataset_are_linked(spans: list[Told]) -> None:
    settled, batches = ({span.id for span in _named(spans, name)} for name in ("annotation.settled", "batch.augmented"))
    linked = [set(span.links) for span in _named(spans, "batch.augmented")]
    assert any(linked)
    assert set().union(*linked) <= settled
    (requested, *_) = _named(spans, "training.requested")
    assert requested.links
    assert set(requested.links) <= batches


def test_a_training_is_a_span_of_its_worker_with_its_epochs(spans: list[Told]) -> None:
    (requested, *_), (training, *_) = _named(spans, "training.requested"), _named(spans, "jobs.train")
    assert (training.parent, training.trace) == (requested.id, requested.trace)
    assert training.events == ("epoch", "epoch", "epoch")
    assert 0 < training.seconds <= _named(spans, "training.finished")[0].seconds


def test_an_export_is_a_span_of_its_worker(spans: list[Told]) -> None:
    (finished, *_), (export, *_) = _named(spans, "training.finished"), _named(spans, "jobs.export.onnx")
    assert (export.program, export.parent) == ("exporter-work", finished.id)


async def test_a_question_to_inference_is_a_child_of_its_callers_span(reference: Reference) -> None:
    predict(reference.stack, shot("asked", "asked").image, traceparent=CALLER)
    trace, parent = CALLER.split("-")[1:3]

    def asked() -> list[Told]:
        return [span for span in reference.collector.named("POST /v1/predict") if span.trace == trace]

    await eventually(lambda: bool(asked()))
    assert [(span.program, span.parent) for span in asked()] == [("inference", parent)]


async def test_the_stream_carries_what_the_spans_say(spans: list[Told], see: Onlooker) -> None:
    told = {span.attributes["event"]: (span.trace, span.id) for span in _named(spans, "annotation.settled")}
    carried = {}
    for delivery in (await see.raw(AnnotationSettled.stream))[: len(the_push())]:
        envelope = Envelope.from_message(decode(delivery.raw))
        assert envelope is not None
        carried[envelope.id] = tuple(envelope.traceparent.split("-")[1:3])
    assert carried == told
