"""What programs tell a collector: workers, an HTTP service, a producer; and one that has none."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from opentelemetry import trace as api
from opentelemetry.sdk.trace import TracerProvider
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from structlog.testing import capture_logs

from labelstream.blobs.leases import Leases
from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Misconfigured, Rejected
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.jobs.memory import MemoryJobQueue
from labelstream.jobs.ports import Job
from labelstream.jobs.worker import Attempt, Worker
from labelstream.producer import Producer
from labelstream.service.health import Health
from labelstream.service.settings import TracingSettings
from labelstream.service.tracing import Span, begin, is_traceparent, tracing
from labelstream.service.tracing_http import traced as traced_app
from labelstream.service.tracing_otlp import Exporter
from labelstream.streams.amqp import decode
from labelstream.streams.memory import MemoryBroker
from labelstream.values import Value
from labelstream_local.ports import choose

from .collector import collecting

CAUSE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Done(Value):
    n: int = 1


async def work(do, spans: list[Span]) -> None:
    """Have a worker do one job, which came with a trace, until its span is told."""
    blobs, queue = MemoryBlobs(), MemoryJobQueue()
    await queue.put("jobs.test", Job(project="default", id="j1", traceparent=CAUSE))
    running = asyncio.create_task(Worker("jobs.test", queue, Leases(blobs, "w"), blobs, Health(), do).run())
    async with asyncio.timeout(10):
        while not spans:  # noqa: ASYNC110  # nothing here could set an event
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running})


async def test_a_workers_attempt_is_a_span_with_what_it_told(traced):
    async def do(attempt: Attempt) -> Done:
        attempt.work.tell("epoch", epoch=1, map50=0.5)
        attempt.work.tell("epoch", epoch=2, map50=0.6)
        return Done()

    await work(do, traced)
    (span,) = traced
    assert (span.name, span.parent, span.failure) == ("jobs.test", CAUSE, "")
    assert [(name, values["epoch"]) for _, name, values in span.events] == [("epoch", 1), ("epoch", 2)]
    assert span.attributes["outcome"] == "done"


async def test_an_attempt_that_fails_says_so(traced):
    async def do(_: Attempt) -> Done:
        raise Rejected("some.rule", "it can't be done", "Don't.")

    await work(do, traced)
    assert (traced[0].failure, traced[0].attributes["outcome"]) == ("failed", "failed")


async def answer(request: Request) -> Response:
    return PlainTextResponse("no" if "no" in request.url.path else "yes", 503 if "no" in request.url.path else 200)


async def ask(path: str, **headers: str) -> None:
    routes = [Route(path, answer) for path in ("/v1/yes", "/v1/no", "/healthz")]
    transport = httpx.ASGITransport(traced_app(Starlette(routes=routes)))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        await client.get(path, headers=headers)


async def test_a_request_is_a_child_of_its_callers_span(traced):
    await ask("/v1/yes", traceparent=CAUSE)
    (span,) = traced
    assert (span.name, span.parent, span.kind, span.failure) == ("GET /v1/yes", CAUSE, "server", "")
    assert span.attributes["http.response.status_code"] == 200


async def test_a_request_that_is_not_answered_well_says_so_and_probes_are_not_told(traced):
    await ask("/v1/no")
    await ask("/healthz")
    (span,) = traced
    assert (span.parent, span.failure) == ("", "Service Unavailable")


async def test_two_requests_in_one_trace_are_two_spans(traced):
    await ask("/v1/yes", traceparent=CAUSE)
    await ask("/v1/yes", traceparent=CAUSE)
    assert len({span.traceparent for span in traced}) == 2


async def sent(**given) -> list[str]:
    """Publish annotations; return the contexts that they carry."""
    broker = MemoryBroker()
    await broker.ensure_stream("annotations")
    await broker.ensure_stream(ANNOTATION_EVENTS)
    async with Producer(broker, receipts=False) as producer:
        for number in range(2):
            await producer.submit(name=f"n{number}", image=None, boxes=[], message_id=f"row-{number}", **given)
    reader, found = broker.reader("annotations", "first"), []
    while len(found) < 2:
        found += await reader.read()
    return [str(decode(one.raw).properties.get("traceparent", "")) for one in found]


async def test_a_producer_begins_a_trace_for_each_message(traced):
    contexts = await sent()
    assert [span.traceparent for span in traced] == contexts
    assert {span.kind for span in traced} == {"producer"}
    assert len({context.split("-")[1] for context in contexts}) == 2


async def test_a_producer_without_tracing_says_nothing():
    assert await sent() == ["", ""]


async def test_a_producer_goes_on_with_the_trace_of_the_program_around_it():
    tracer = TracerProvider().get_tracer("platform")
    with tracer.start_as_current_span("upload") as around:
        contexts = await sent()
    assert {context.split("-")[1] for context in contexts} == {f"{around.get_span_context().trace_id:032x}"}
    assert api.get_current_span().get_span_context().is_valid is False


def test_spans_reach_a_collector_with_the_headers_that_it_wants(collector):
    settings = TracingSettings(endpoint=collector.endpoint, headers=SecretStr("Authorization: Bearer s3cret\n\n"))
    with tracing(settings, "some-program"):
        work = begin("jobs.test", "j1/1", CAUSE, job="j1")
        work.tell("epoch", epoch=1)
        work.end("again", outcome="again")
    (told,) = collector.told
    assert (told.program, told.name, told.parent) == ("some-program", "jobs.test", "b7ad6b7169203331")
    assert (told.attributes["job"], told.events, told.failed) == ("j1", ("epoch",), True)
    assert collector.headers[0]["authorization"] == "Bearer s3cret"


def test_a_collector_that_is_away_holds_nothing_up():
    with tracing(TracingSettings(endpoint="http://127.0.0.1:9/v1/traces"), "some-program"):
        begin("jobs.test", "j1/1", CAUSE).end()
    assert begin("jobs.test", "j1/1", CAUSE).span is None


def test_a_collector_is_said_to_be_away_once_and_once_to_be_back():
    (port,) = choose(1)
    exporter = Exporter(TracingSettings(endpoint=f"http://127.0.0.1:{port}/v1/traces"), patience_s=5)
    with capture_logs() as said:
        for _ in range(3):
            exporter.export([])
        with collecting(port):
            exporter.export([])
            exporter.export([])
    assert [one["event"] for one in said] == ["collector.lost", "collector.found"]


def test_headers_that_are_none_are_refused(collector):
    settings = TracingSettings(endpoint=collector.endpoint, headers=SecretStr("Bearer"))
    with pytest.raises(Misconfigured, match="name: value"), tracing(settings, "some-program"):
        pass


def test_without_an_endpoint_nothing_is_traced_and_contexts_stay_in_form():
    with tracing(TracingSettings(), "some-program"):
        assert begin("jobs.test", "j1/1", CAUSE).span is None
    assert is_traceparent(CAUSE)
