"""What `model-events` tells of every model: the fold that the exporter's processes and the commands share."""

from __future__ import annotations

from dataclasses import dataclass, field

from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelExported, ModelPromoted, ModelRefused, ModelWithdrawn


@dataclass(frozen=True)
class Promotion:
    """A promotion of a project; the last one says which model serves."""

    event: ModelPromoted
    offset: int
    time_ms: int


@dataclass(frozen=True)
class Refusal:
    """A refusal of a format, or of every format of a training."""

    project: str
    event: ModelRefused
    time_ms: int


@dataclass
class ModelState:
    """A model that was exported."""

    project: str
    exported: ModelExported
    envelope: Envelope
    offset: int
    withdrawn: ModelWithdrawn | None = None
    promotions: list[Promotion] = field(default_factory=list)

    @property
    def model(self) -> str:
        """The model's id."""
        return self.exported.model


@dataclass
class ModelBook:
    """Every model of every project, oldest first: a fold over `model-events` from its first event."""

    models: dict[str, ModelState] = field(default_factory=dict)
    promotions: dict[str, list[Promotion]] = field(default_factory=dict)  # by project, oldest first
    refusals: dict[str, list[Refusal]] = field(default_factory=dict)  # by training job, oldest first
    _by_job: dict[str, list[ModelState]] = field(default_factory=dict)  # models by training job, oldest first

    def fold(self, offset: int, envelope: Envelope) -> None:
        """Take one event of `model-events` into account."""
        match envelope.event:
            case ModelExported() as event:
                state = ModelState(envelope.project, event, envelope, offset)
                self.models[event.model] = state
                self._by_job.setdefault(event.job, []).append(state)
            case ModelRefused() as event:
                refusal = Refusal(envelope.project, event, envelope.time_ms)
                self.refusals.setdefault(event.job, []).append(refusal)
            case ModelPromoted() as event:
                promotion = Promotion(event, offset, envelope.time_ms)
                self.promotions.setdefault(envelope.project, []).append(promotion)
                if (known := self.models.get(event.model)) is not None:
                    known.promotions.append(promotion)
            case ModelWithdrawn() as event if (known := self.models.get(event.model)) is not None:
                known.withdrawn = event

    def of(self, project: str) -> list[ModelState]:
        """Return a project's models, oldest first."""
        return [state for state in self.models.values() if state.project == project]

    def promotion(self, project: str) -> Promotion | None:
        """Return a project's last promotion."""
        promotions = self.promotions.get(project)
        return promotions[-1] if promotions else None

    def champion(self, project: str) -> ModelState | None:
        """Return the model that serves."""
        promotion = self.promotion(project)
        return self.models.get(promotion.event.model) if promotion else None

    def editions(self, job: str) -> list[ModelState]:
        """Return the models that hold one training's weights, the first edition first."""
        return sorted(self._by_job.get(job, ()), key=lambda state: state.exported.edition)

    def refused_formats(self, job: str) -> set[str]:
        """Return the formats of a training that were refused."""
        return {each.event.format for each in self.refusals.get(job, []) if each.event.format is not None}

    def has_no_model(self, job: str) -> bool:
        """Say whether a training was refused as a whole."""
        return any(each.event.format is None for each in self.refusals.get(job, []))
