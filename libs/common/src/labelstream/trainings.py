"""What `training-events` tells of every job: the fold that the trainer, its mirrors and the commands share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from labelstream.events.envelope import Envelope
from labelstream.events.training import (
    TrainingCancelled,
    TrainingEvent,
    TrainingFailed,
    TrainingFinished,
    TrainingProgressed,
    TrainingRecovered,
    TrainingRequested,
    TrainingStarted,
)
from labelstream.values import short_id

State = Literal["requested", "started", "finished", "failed", "cancelled"]
STATES: tuple[State, ...] = ("requested", "started", "finished", "failed", "cancelled")
Ended = TrainingFinished | TrainingFailed | TrainingCancelled
# Files that a worker leaves under its attempt's number while it works.
PROGRESS = "progress.json"  # a list of trainer.engine.contract.Progress, each epoch of the attempt
RECOVERIES = "recoveries.json"  # a list of trainer.engine.contract.Recovery
CHECKPOINTS = "checkpoints.json"  # a list of trainer.orders.Checkpoint, the newest first, two at most
LOG = "log.txt"  # the end of the engine's log


def job_id(project: str, dataset_id: str, recipe_digest: str, initial_id: str | None = None) -> str:
    """Name the job that trains this recipe on this dataset, from these weights: asking twice is the same job."""
    parts = ("training", project, dataset_id, recipe_digest)
    return short_id(*parts) if initial_id is None else short_id(*parts, initial_id)


def retry_id(job: str) -> str:
    """Name the job that does again what `job` did not bring to an end."""
    return short_id("retry", job)


class Begun(NamedTuple):
    """A worker took the job."""

    attempt: int
    worker: str
    time_ms: int


@dataclass
class JobState:
    """One job, as the stream tells it; times are milliseconds since 1970, by the writer's clock."""

    project: str
    requested: TrainingRequested
    envelope: Envelope  # the request's
    offset: int  # the request's
    changed_ms: int  # when the job was last heard of
    state: State = "requested"
    attempts: list[Begun] = field(default_factory=list)
    epochs: list[tuple[TrainingProgressed, int]] = field(default_factory=list)  # with the time; each epoch once
    recoveries: list[tuple[TrainingRecovered, int]] = field(default_factory=list)  # with the time
    ended: Ended | None = None
    ended_ms: int | None = None
    ended_offset: int | None = None

    @property
    def job(self) -> str:
        """The job's id."""
        return self.requested.job

    @property
    def attempt(self) -> int:
        """The newest attempt; 0: nobody has begun."""
        return self.attempts[-1].attempt if self.attempts else 0

    @property
    def worker(self) -> str:
        """Who made the newest attempt."""
        return self.attempts[-1].worker if self.attempts else ""

    @property
    def requested_ms(self) -> int:
        """When the training was requested."""
        return self.envelope.time_ms

    @property
    def progress(self) -> TrainingProgressed | None:
        """The last epoch that was told."""
        return self.epochs[-1][0] if self.epochs else None

    @property
    def epochs_told(self) -> int:
        """The number of the last epoch that was told, over all attempts; 0: none."""
        return self.progress.epoch if self.progress else 0

    @property
    def came_to_nothing(self) -> bool:
        """Whether the job ended without a model, so that it may be done again under a derived id."""
        return self.state in ("failed", "cancelled")

    def recoveries_told(self, attempt: int) -> int:
        """Return how many recoveries of one attempt were told."""
        return sum(recovery.attempt == attempt for recovery, _ in self.recoveries)

    def take(self, offset: int, envelope: Envelope) -> None:
        """Take an event of the job, after its request, into account."""
        self.changed_ms = envelope.time_ms
        match envelope.event:
            case TrainingStarted() as event:
                self.state = "started"
                self.attempts.append(Begun(event.attempt, event.worker, envelope.time_ms))
            case TrainingProgressed() as event if event.epoch > self.epochs_told:
                self.epochs.append((event, envelope.time_ms))
            case TrainingRecovered() as event:
                self.recoveries.append((event, envelope.time_ms))
            case TrainingFinished() as event:
                self._end("finished", event, offset, envelope)
            case TrainingFailed() as event:
                self._end("failed", event, offset, envelope)
            case TrainingCancelled() as event:
                self._end("cancelled", event, offset, envelope)

    def _end(self, state: State, event: Ended, offset: int, envelope: Envelope) -> None:
        self.state, self.ended = state, event
        self.ended_ms, self.ended_offset = envelope.time_ms, offset


@dataclass
class JobBook:
    """Every job of every project, in the order of the requests: a fold over `training-events` from its first event."""

    jobs: dict[str, JobState] = field(default_factory=dict)
    last_cuts: dict[str, int] = field(default_factory=dict)  # project → the latest cut that was trained or refused
    keep_epochs: bool = True  # of jobs that ended; their last one always is kept

    def fold(self, offset: int, envelope: Envelope) -> None:
        """Take one event of `training-events` into account."""
        event = envelope.event
        if isinstance(event, TrainingRequested):
            self.jobs.setdefault(event.job, JobState(envelope.project, event, envelope, offset, envelope.time_ms))
            self.passed(envelope.project, event.dataset.cut.offset)
        elif isinstance(event, TrainingEvent) and (known := self.jobs.get(event.job)) is not None:
            known.take(offset, envelope)
            if known.ended is not None and not self.keep_epochs:
                del known.epochs[:-1]

    def passed(self, project: str, cut: int) -> None:
        """Note that what was annotated up to `cut` needs no other training."""
        self.last_cuts[project] = max(cut, self.last_cuts.get(project, -1))

    def open_jobs(self) -> list[JobState]:
        """Return the jobs that have not ended, oldest first."""
        return [state for state in self.jobs.values() if state.ended is None]

    def latest(self, job: str) -> JobState | None:
        """Return the last in the chain of a job and its retries; None when there is no such job."""
        state = self.jobs.get(job)
        while state is not None and (retry := self.jobs.get(retry_id(state.job))) is not None:
            state = retry
        return state
