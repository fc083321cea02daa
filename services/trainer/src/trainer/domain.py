"""What the trainer knows of models: with which weights the one in service was made."""

from __future__ import annotations

from dataclasses import dataclass, field

from labelstream.events.envelope import Envelope
from labelstream.events.training import TrainingFinished, WeightsRef
from labelstream.models import ModelBook
from labelstream.trainings import JobBook


@dataclass
class Champions:
    """The model in service of each project."""

    models: ModelBook = field(default_factory=ModelBook)

    def fold(self, offset: int, envelope: Envelope) -> None:
        """Take one event of `model-events` into account."""
        self.models.fold(offset, envelope)

    def champion(self, project: str, book: JobBook) -> WeightsRef | None:
        """Return the weights of the model in service, as its training left them; None when there is none."""
        champion = self.models.champion(project)
        trained = book.jobs.get(champion.exported.job) if champion else None
        if champion is None or trained is None or not isinstance(trained.ended, TrainingFinished):
            return None
        return WeightsRef(id=champion.model, weights=trained.ended.weights, architecture=trained.ended.architecture)
