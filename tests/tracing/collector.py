"""A collector of traces in this process: it takes OTLP over HTTP, as a real one does, and keeps what it is told."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class Told:
    """A span as it came in; ids in hexadecimal digits, `parent` empty for the first of a trace."""

    program: str
    name: str
    trace: str
    id: str
    parent: str
    links: tuple[str, ...]
    attributes: dict[str, Any]
    events: tuple[str, ...]
    seconds: float
    failed: bool


@dataclass
class Collector:
    """Where it listens, what it was told, and with which headers (names in lower case)."""

    port: int
    told: list[Told] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        """The address for LABELSTREAM_TRACING__ENDPOINT."""
        return f"http://127.0.0.1:{self.port}/v1/traces"

    def take(self, request: ExportTraceServiceRequest, headers: dict[str, str]) -> None:
        """Keep what a program told."""
        self.headers.append(headers)
        for of_program in request.resource_spans:
            program = next(
                one.value.string_value for one in of_program.resource.attributes if one.key == "service.name"
            )
            self.told += [_told(program, span) for scope in of_program.scope_spans for span in scope.spans]

    def named(self, name: str) -> list[Told]:
        """Return the spans of a name."""
        return [span for span in self.told if span.name == name]

    def above(self, span: Told) -> list[Told]:
        """Return a span's parents, the nearest first; fails when one is named that nobody told of."""
        known = {one.id: one for one in self.told}
        found = []
        while span.parent:
            span = known[span.parent]
            found.append(span)
        return found


def _told(program: str, span: Any) -> Told:
    values = {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}
    return Told(
        program=program,
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        links=tuple(link.span_id.hex() for link in span.links),
        attributes=values,
        events=tuple(event.name for event in span.events),
        seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        failed=span.status.code == 2,
    )


@contextmanager
def collecting(port: int = 0) -> Iterator[Collector]:
    """Collect on a port; 0: a free one."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # http.server calls it so
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            headers = {name.lower(): value for name, value in self.headers.items()}
            collector.take(ExportTraceServiceRequest.FromString(body), headers)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    collector = Collector(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
