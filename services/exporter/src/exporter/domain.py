"""What the exporter knows of trainings: a fold over `training-events`. What it said itself is in the ModelBook."""

from __future__ import annotations

from dataclasses import dataclass, field

from labelstream.events.base import TRAINING_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.events.training import TrainingFinished
from labelstream.values import Position, short_id


def export_job_id(project: str, training: TrainingFinished, format_name: str) -> str:
    """Name the job that exports these weights to one format."""
    return short_id("export", project, training.job, training.weights.sha256, format_name)


@dataclass(frozen=True)
class Trained:
    """A finished training."""

    project: str
    input: Position
    envelope: Envelope
    training: TrainingFinished

    @property
    def job(self) -> str:
        """The training's job."""
        return self.training.job


@dataclass
class Ledger:
    """Every training that finished, oldest first."""

    trained: dict[str, Trained] = field(default_factory=dict)  # by training job

    def heard(self, offset: int, envelope: Envelope) -> None:
        """Take one event of `training-events` into account."""
        event = envelope.event
        if isinstance(event, TrainingFinished):
            position = Position(stream=TRAINING_EVENTS, offset=offset)
            self.trained[event.job] = Trained(envelope.project, position, envelope, event)

    def training(self, job: str) -> TrainingFinished | None:
        """Return how a training finished; None when nobody said so yet."""
        known = self.trained.get(job)
        return known.training if known else None
