"""Traces (OpenTelemetry): from a producer's message to the model that serves. Off, and free of cost, unless asked for.

A span is what somebody made of something: it begins when its cause was said and ends when its own event stood in the
stream. It needs no object that is handed around: the id of the span that made an event is derived from the event's id,
so that a retry says the same bytes, and whoever answers the event finds its parent in `traceparent`. What has many
causes continues the trace of the newest and links the others.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from labelstream.errors import Misconfigured
from labelstream.service.settings import TracingSettings

Value = str | int | float | bool
Kind = Literal["internal", "producer", "server"]
MOST_LINKS = 32
MOST_EVENTS = 1000  # of one span, such as the epochs of a training
_REMEMBERED = 10_000  # events whose time is known, for the spans that they cause
_FORM = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


@dataclass(frozen=True)
class Span:
    """Something that was done, ready to be told; `parent` and `links` are traceparents, `parent` may be empty."""

    name: str
    traceparent: str
    parent: str
    start_ns: int
    end_ns: int
    kind: Kind = "internal"
    links: tuple[str, ...] = ()
    attributes: Mapping[str, Value] = field(default_factory=dict)
    events: tuple[tuple[int, str, Mapping[str, Value]], ...] = ()  # when (ns), what, and its values
    failure: str = ""


class Recorder(Protocol):
    """Takes spans to where they are looked at."""

    def record(self, span: Span) -> None:
        """Take a span; never waits, and drops it when there are too many."""
        ...

    def close(self) -> None:
        """Tell what is left."""
        ...


@dataclass(frozen=True)
class Step:
    """What an event answers: its cause, other causes, and since when."""

    parent: str
    links: tuple[str, ...]
    since_ns: int


@dataclass
class _On:
    recorder: Recorder
    sample: float
    said_at: OrderedDict[str, int] = field(default_factory=OrderedDict)  # traceparent → ms


_on: _On | None = None


@contextmanager
def tracing(settings: TracingSettings, program: str) -> Iterator[None]:
    """Trace while the block runs, if the settings name an endpoint. Raises Misconfigured."""
    if settings.endpoint is None:
        yield
        return
    try:
        from labelstream.service.tracing_otlp import OtlpRecorder  # noqa: PLC0415  # an optional package
    except ImportError as error:
        raise Misconfigured(
            f"LABELSTREAM_TRACING__ENDPOINT is set, and {error.name} is not installed: install "
            "labelstream-common[tracing], or leave the endpoint out"
        ) from error
    with recording(OtlpRecorder(settings, program), settings.sample):
        yield


@contextmanager
def recording(recorder: Recorder, sample: float = 1.0) -> Iterator[None]:
    """Trace to a recorder while the block runs."""
    global _on  # noqa: PLW0603  # of the process, as its logs and metrics are
    before, _on = _on, _On(recorder, sample)
    try:
        yield
    finally:
        _on = before
        recorder.close()


def is_on() -> bool:
    """Say whether anything is traced."""
    return _on is not None


def is_traceparent(text: str) -> bool:
    """Say whether this is a trace context of the W3C's form."""
    return _FORM.fullmatch(text) is not None


def new_traceparent(trace: str = "") -> str:
    """Return a trace context with a span that nobody knows yet; a trace of its own unless one is given."""
    return f"00-{trace or os.urandom(16).hex()}-{os.urandom(8).hex()}-01"


def step(said: str, parent: str, links: Sequence[str] = ()) -> tuple[str, Step | None]:
    """Return the traceparent of an event with the id `said`, and the step to tell once it is stored.

    Without tracing the cause's own goes on, so that a program that does not trace leaves no hole.
    """
    if _on is None:
        return parent or new_traceparent(), None
    known = parent if is_traceparent(parent) else ""
    others = tuple(dict.fromkeys(link for link in links if is_traceparent(link) and link != known))[:MOST_LINKS]
    since_ns = _on.said_at.get(known, 0) * 1_000_000 or time.time_ns()
    return _child(known, said), Step(known, others, since_ns)


def _child(parent: str, said: str) -> str:
    """Return the trace context of what answers `parent` by saying `said`."""
    trace, _, _, flags = _parts(parent) if parent else (_digest("trace", said), "", "", "01")
    return f"00-{trace}-{_digest('span', said)[:16]}-{flags}"


def _parts(traceparent: str) -> tuple[str, str, str, str]:
    version, trace, span, flags = traceparent.split("-")
    return trace, span, version, flags


def _digest(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:32]


def heard(traceparent: str, time_ms: int) -> None:
    """Remember when an event was said: what answers it begins then."""
    if _on is not None and traceparent:
        _on.said_at.setdefault(traceparent, time_ms)  # who does not trace says later events in the same context
        if len(_on.said_at) > _REMEMBERED:
            _on.said_at.popitem(last=False)


def said(name: str, traceparent: str, done: Step | None, attributes: Mapping[str, Value]) -> None:
    """Tell of the step that made an event, now that it is stored."""
    if done is not None:
        _record(Span(name, traceparent, done.parent, done.since_ns, 0, links=done.links, attributes=attributes))


def _record(span: Span) -> None:
    if _on is None or not _is_sampled(span.traceparent, _on.sample):
        return
    end_ns = time.time_ns()
    _on.recorder.record(replace(span, start_ns=min(span.start_ns, end_ns), end_ns=end_ns))


def _is_sampled(traceparent: str, sample: float) -> bool:
    """Say whether a trace is told: the same for all its spans, wherever the share is the same."""
    trace, _, _, flags = _parts(traceparent)
    return bool(int(flags, 16) & 1) and int(trace[16:], 16) < sample * 2**64


def stamp(traceparent: str, stream: str, message_id: str) -> str:
    """Return the trace context of a producer's message: its own, that of the span around us, or a new one.

    Empty when nobody traces; then whoever answers begins the trace.
    """
    if traceparent:
        return traceparent
    around = _ambient()
    if _on is None:
        return around
    own = new_traceparent(_parts(around)[0]) if around else new_traceparent()
    span = Span(f"{stream} publish", own, around, time.time_ns(), 0, "producer", attributes={"message": message_id})
    _record(span)
    return own


def _ambient() -> str:
    """Return the span around us of a program that uses OpenTelemetry itself; empty without."""
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        return ""
    context = api.get_current_span().get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


@dataclass
class Work:
    """Work under way, told as one span when it is over."""

    span: Span | None = None  # None: nobody traces
    _events: list[tuple[int, str, Mapping[str, Value]]] = field(default_factory=list)

    def tell(self, event: str, **values: Value) -> None:
        """Say that something happened meanwhile."""
        if self.span is not None and len(self._events) < MOST_EVENTS:
            self._events.append((time.time_ns(), event, values))

    def end(self, failure: str = "", **attributes: Value) -> None:
        """Say how it ended."""
        if self.span is not None:
            told = {**self.span.attributes, **attributes}
            _record(replace(self.span, attributes=told, events=tuple(self._events), failure=failure))
            self.span = None


def begin(name: str, said: str, parent: str, kind: Kind = "internal", **attributes: Value) -> Work:
    """Begin work that may take long; `said` tells it apart from all other."""
    if _on is None:
        return Work()
    known = parent if is_traceparent(parent) else ""
    return Work(Span(name, _child(known, said), known, time.time_ns(), 0, kind, attributes=attributes))
