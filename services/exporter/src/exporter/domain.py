"""What the exporter knows of trainings and models: folds over `training-events` and `model-events`."""

from __future__ import annotations

from dataclasses import dataclass, field

from labelstream.events.base import TRAINING_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.events.model import Agreement, ModelExported, ModelPromoted, ModelRefused, ModelWithdrawn
from labelstream.events.training import TrainingFinished
from labelstream.values import Position, short_id


def export_job_id(project: str, training: TrainingFinished, format_name: str) -> str:
    """Name the job that exports these weights to one format."""
    return short_id("export", project, training.job, training.weights.sha256, format_name)


@dataclass(frozen=True)
class Trained:
    """A finished training that wants a model."""

    project: str
    input: Position
    envelope: Envelope
    training: TrainingFinished


@dataclass(frozen=True)
class Published:
    """A model that was exported."""

    project: str
    offset: int
    envelope: Envelope
    exported: ModelExported


@dataclass
class Ledger:
    """Every model of every project, and every training that has none yet."""

    trained: dict[str, Trained] = field(default_factory=dict)  # by training job
    answered: set[str] = field(default_factory=set)  # training jobs that were exported or refused
    models: dict[str, Published] = field(default_factory=dict)
    promotions: dict[str, tuple[int, ModelPromoted]] = field(default_factory=dict)  # project → offset, newest
    withdrawn: set[str] = field(default_factory=set)

    def heard(self, offset: int, envelope: Envelope) -> None:
        """Take one event of `training-events` into account."""
        event = envelope.event
        if isinstance(event, TrainingFinished):
            position = Position(stream=TRAINING_EVENTS, offset=offset)
            self.trained[event.job] = Trained(envelope.project, position, envelope, event)

    def said(self, offset: int, envelope: Envelope) -> None:
        """Take one event of `model-events` into account."""
        event = envelope.event
        if isinstance(event, ModelExported):
            self.answered.add(event.job)
            self.models[event.model] = Published(envelope.project, offset, envelope, event)
        elif isinstance(event, ModelRefused):
            self.answered.add(event.job)
        elif isinstance(event, ModelPromoted):
            self.promotions[envelope.project] = (offset, event)
        elif isinstance(event, ModelWithdrawn):
            self.withdrawn.add(event.model)

    def unanswered(self) -> list[Trained]:
        """Return the trainings that have neither a model nor a refusal, oldest first."""
        return [each for job, each in self.trained.items() if job not in self.answered]

    def champion(self, project: str) -> Published | None:
        """Return the model that serves."""
        promoted = self.promotions.get(project)
        return self.models.get(promoted[1].model) if promoted else None

    def candidates(self) -> list[Published]:
        """Return the models that were exported after their project's last promotion, the best first.

        The best first, because a promotion ends the candidacy of all that came before it: which model serves
        must not depend on how many were exported when the exporter last stopped.
        """
        waiting = [
            model
            for model in self.models.values()
            if model.offset > self.promotions.get(model.project, (-1, None))[0]
            and model.exported.model not in self.withdrawn
        ]
        return sorted(waiting, key=lambda model: -model.exported.test.map50_95)


def disagreement(agreement: Agreement, max_box_px: float, max_score: float) -> str | None:
    """Say by how much a format disagrees with the trained weights; None when it is within the limits."""
    found = []
    if agreement.unmatched:
        found.append(f"{agreement.unmatched} of {agreement.boxes} boxes have no partner")
    if agreement.max_box_px > max_box_px:
        found.append(f"a corner differs by {agreement.max_box_px:.3f} px, more than {max_box_px} px")
    if agreement.max_score > max_score:
        found.append(f"a score differs by {agreement.max_score:.4f}, more than {max_score}")
    return "; ".join(found) or None


def why_promote(candidate: ModelExported, champion: ModelExported | None, min_gain: float) -> str | None:
    """Say why the candidate should serve; None when it should not."""
    if champion is None:
        return "the project's first model"
    gain = candidate.test.map50_95 - champion.test.map50_95
    if gain >= min_gain and gain > 0:
        return f"mAP50-95 {candidate.test.map50_95:.3f} against the champion's {champion.test.map50_95:.3f}"
    return None
