"""The trainer's voice: what it says on `training-events`, and in its log and /readyz with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from labelstream.events.envelope import Envelope
from labelstream.events.training import (
    TrainingCancelled,
    TrainingEvent,
    TrainingFailed,
    TrainingFinished,
    TrainingProgressed,
    TrainingRecovered,
)
from labelstream.service.health import Health
from labelstream.streams.journal import Journal
from trainer import metrics

NAME = "trainer"

log = structlog.get_logger()


@dataclass(frozen=True)
class Voice:
    """Appends events to the stream, one after the other; each stands in it when `say` returns."""

    journal: Journal
    health: Health

    async def say(
        self,
        event: TrainingEvent,
        project: str,
        answers: str,
        cause: Envelope | None = None,
        traces: Sequence[str] = (),
    ) -> None:
        """Say an event that answers something, in the flow of its cause, or in the first of `traces`.

        Raises Unavailable.
        """
        newest, *others = [cause.traceparent] if cause else (traces or [""])
        envelope = Envelope.of(
            event,
            source=NAME,
            answers=answers,
            project=project,
            flow=cause.flow if cause else "",
            traceparent=newest,
            links=others,
        )
        if isinstance(event, TrainingProgressed):  # epochs are told by the span of who trains
            envelope = replace(envelope, traceparent=newest, step=None)
        await self.journal.append(NAME, [(self.journal.sequences[NAME] + 1, envelope)])
        self._note(event, project)

    def _note(self, event: TrainingEvent, project: str) -> None:
        what = f"training of {project}"
        if isinstance(event, TrainingFailed):
            log.warning(event.type, project=project, job=event.job, rule=event.rule, reason=event.reason)
            return self.health.degraded(what, f"{event.rule}: {event.reason}")
        match event:
            case TrainingProgressed():
                metrics.EPOCHS.labels(project).inc()
                log.info(event.type, project=project, job=event.job, epoch=event.epoch, map50=event.map50)
            case TrainingRecovered():
                metrics.RECOVERIES.labels(project, event.rule).inc()
                log.warning(event.type, project=project, job=event.job, rule=event.rule, reason=event.reason)
            case TrainingFinished():
                log.info(event.type, project=project, job=event.job, test_map50=event.test.map50)
            case TrainingCancelled():
                log.info(event.type, project=project, job=event.job, reason=event.reason)
            case _:
                log.info(event.type, project=project, job=event.job)
        return self.health.degraded(what, None)
