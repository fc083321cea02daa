"""What the trainer knows of its jobs: a fold over `training-events`."""

from __future__ import annotations

from dataclasses import dataclass, field

from labelstream.events.envelope import Envelope
from labelstream.events.training import (
    TrainingCancelled,
    TrainingFailed,
    TrainingFinished,
    TrainingProgressed,
    TrainingRequested,
    TrainingStarted,
)
from labelstream.values import short_id

ENDED = (TrainingFinished, TrainingFailed, TrainingCancelled)


def job_id(project: str, dataset_id: str, recipe_digest: str) -> str:
    """Name the job that trains this recipe on this dataset: asking twice is the same job."""
    return short_id("training", project, dataset_id, recipe_digest)


def retry_id(job: str) -> str:
    """Name the job that does again what `job` failed to do."""
    return short_id("retry", job)


@dataclass
class JobState:
    """One job, as the stream tells it."""

    project: str
    requested: TrainingRequested
    envelope: Envelope
    attempt: int = 0
    epochs_said: int = 0  # of the current attempt
    ended: bool = False
    failed: bool = False


@dataclass
class JobBook:
    """Every job of every project."""

    jobs: dict[str, JobState] = field(default_factory=dict)
    last_cuts: dict[str, int] = field(default_factory=dict)  # project → the latest cut that was trained or refused

    def fold(self, _offset: int, envelope: Envelope) -> None:
        """Take one event of `training-events` into account."""
        event = envelope.event
        if isinstance(event, TrainingRequested):
            self.jobs.setdefault(event.job, JobState(envelope.project, event, envelope))
            known = self.last_cuts.get(envelope.project, -1)
            self.last_cuts[envelope.project] = max(known, event.dataset.cut.offset)
            return
        state = self.jobs.get(getattr(event, "job", ""))
        if state is None:
            return
        if isinstance(event, TrainingStarted):
            state.attempt, state.epochs_said = event.attempt, 0
        elif isinstance(event, TrainingProgressed):
            state.epochs_said = event.epoch
        elif isinstance(event, ENDED):
            state.ended, state.failed = True, isinstance(event, TrainingFailed)

    def open_jobs(self) -> list[JobState]:
        """Return the jobs that have not ended, oldest first."""
        return [state for state in self.jobs.values() if not state.ended]

    def not_failed(self, job: str) -> str:
        """Return the job itself, or the first of its retries that has not failed; it may be yet to come."""
        while (state := self.jobs.get(job)) is not None and state.failed:
            job = retry_id(job)
        return job
