"""Spans to an OpenTelemetry collector: OTLP over HTTP, in batches, from a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from labelstream.errors import Misconfigured
from labelstream.service.settings import TracingSettings
from labelstream.service.tracing import Kind, Span

log = structlog.get_logger()

_KINDS: Mapping[Kind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "producer": SpanKind.PRODUCER,
    "server": SpanKind.SERVER,
}
_SCOPE = InstrumentationScope("labelstream")
_PATIENCE_S = 5  # with a collector: for an answer, and for all that is left when the program ends


class Exporter(OTLPSpanExporter):
    """Says once that the collector is away, and once that it is back; OpenTelemetry would say so for every batch."""

    def __init__(self, settings: TracingSettings, patience_s: float = _PATIENCE_S) -> None:
        """Export to the settings' endpoint; each batch is tried for so long. Raises Misconfigured."""
        super().__init__(endpoint=settings.endpoint, headers=_headers(settings), timeout=patience_s)
        self._is_there = True
        logging.getLogger("opentelemetry.exporter.otlp.proto.http").setLevel(logging.CRITICAL)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Tell a batch; it is dropped when the collector does not take it."""
        result = super().export(spans)
        is_there = result is SpanExportResult.SUCCESS
        if self._is_there and not is_there:
            log.warning("collector.lost", dropped=len(spans))
        elif is_there and not self._is_there:
            log.info("collector.found")
        self._is_there = is_there
        return result


class OtlpRecorder:
    """Tells spans to a collector. One that is away costs spans, and nothing else."""

    def __init__(self, settings: TracingSettings, program: str) -> None:
        """Tell them as `program`. Raises Misconfigured."""
        self._exporter = Exporter(settings)
        self._processor = BatchSpanProcessor(self._exporter)
        self._resource = Resource({"service.name": program, "service.namespace": "labelstream"})

    def record(self, span: Span) -> None:
        """Take a span; it is told within seconds."""
        self._processor.on_end(
            ReadableSpan(
                name=span.name,
                context=_context(span.traceparent),
                parent=_context(span.parent) if span.parent else None,
                resource=self._resource,
                attributes=dict(span.attributes),
                events=[Event(name, dict(values), at_ns) for at_ns, name, values in span.events],
                links=[Link(_context(link)) for link in span.links],
                kind=_KINDS[span.kind],
                status=Status(StatusCode.ERROR, span.failure) if span.failure else Status(),
                start_time=span.start_ns,
                end_time=span.end_ns,
                instrumentation_scope=_SCOPE,
            )
        )

    def close(self) -> None:
        """Tell what is left, for a few seconds at most."""
        impatient = threading.Timer(_PATIENCE_S, self._exporter.shutdown)
        impatient.start()
        self._processor.shutdown()  # type: ignore[no-untyped-call]  # OpenTelemetry's
        impatient.cancel()


def _context(traceparent: str) -> SpanContext:
    _, trace, span, flags = traceparent.split("-")
    return SpanContext(int(trace, 16), int(span, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))


def _headers(settings: TracingSettings) -> dict[str, str]:
    """Read `name: value` lines."""
    if settings.headers is None:
        return {}
    lines = [line for line in settings.headers.get_secret_value().splitlines() if line.strip()]
    told = [line.partition(":") for line in lines]
    if any(not mark or not name.strip() for name, mark, _ in told):
        raise Misconfigured("LABELSTREAM_TRACING__HEADERS has a line that is not `name: value`")
    return {name.strip().lower(): value.strip() for name, _, value in told}
