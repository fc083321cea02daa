"""Spans in memory, and a collector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from labelstream.service.tracing import Span, recording

from .collector import Collector, collecting


@dataclass
class Kept:
    """A recorder that keeps what it is given."""

    spans: list[Span] = field(default_factory=list)

    def record(self, span: Span) -> None:
        self.spans.append(span)

    def close(self) -> None:
        pass


@pytest.fixture
def traced() -> Iterator[list[Span]]:
    kept = Kept()
    with recording(kept):
        yield kept.spans


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running
