"""What operators are told of what was settled: metrics, logs, and whether an input needs a look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

import structlog

from annotation_ingest import metrics
from annotation_ingest.handler import Settled
from labelstream.events.annotation import AnnotationSettled, OutcomeKind
from labelstream.service import metrics as shared
from labelstream.service.health import Health

ERASED = "erased"

log = structlog.get_logger()


@dataclass(frozen=True)
class _Row:
    """Rejections of an input without anything good between them."""

    length: int = 0
    rule: str = metrics.NO_RULE  # of the last one


@dataclass
class Telling:
    """Counts what was settled, and raises `degraded` while nothing but refusals comes from an input."""

    health: Health
    rejections_to_degrade: int
    _rows: dict[str, _Row] = field(default_factory=dict)

    def introduce(self, stream: str) -> None:
        """Begin the stream's counters at zero, so that what is rare can be seen to rise."""
        for outcome in (*get_args(OutcomeKind), ERASED):
            shared.HANDLED.labels(stream, outcome)
        shared.HANDLING.labels(stream)
        metrics.introduce(stream)

    def settled(self, settled: Sequence[Settled], seconds: float) -> None:
        """Tell of messages of one input whose receipts are stored."""
        stream, offset = settled[-1].delivery.stream, settled[-1].delivery.offset
        shared.HANDLING.labels(stream).observe(seconds)
        shared.OFFSET.labels(stream).set(offset)
        self.health.handled(stream, offset)
        for one in settled:
            self._count(stream, one)
            self._watch(stream, one)

    def gave_up(self, stream: str, offset: int, deaths: int) -> None:
        """Tell of a message that ended the process each time."""
        log.error("message.killed_service", stream=stream, offset=offset, deaths=deaths)
        self.health.degraded(
            f"offset {offset} of {stream}", f"it ended the service {deaths} times, and is parked: report it"
        )

    def _count(self, stream: str, one: Settled) -> None:
        event = one.envelope.event
        if not isinstance(event, AnnotationSettled):
            return shared.HANDLED.labels(stream, ERASED).inc()
        for outcome in event.outcomes:
            shared.HANDLED.labels(stream, outcome.outcome).inc()
            if outcome.rejection is not None:
                metrics.REJECTED.labels(stream, outcome.rejection.rule).inc()
        return None

    def _watch(self, stream: str, one: Settled) -> None:
        if one.rejected is None:
            self._set_row(stream, _Row())
            return self.health.degraded(f"input {stream}", None)
        rule, reason = one.rejected.rule, one.rejected.reason
        log.warning("message.rejected", stream=stream, offset=one.delivery.offset, rule=rule, reason=reason)
        row = _Row(self._rows.get(stream, _Row()).length + 1, rule)
        self._set_row(stream, row)
        if row.length >= self.rejections_to_degrade:
            self.health.degraded(
                f"input {stream}", f"{row.length} messages in a row were rejected, the last one by {rule}"
            )
        return None

    def _set_row(self, stream: str, row: _Row) -> None:
        before = self._rows.get(stream, _Row())
        if before.rule != row.rule:
            metrics.IN_A_ROW.remove(stream, before.rule)
        metrics.IN_A_ROW.labels(stream, row.rule).set(row.length)
        self._rows[stream] = row
