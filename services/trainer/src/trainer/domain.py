"""What the trainer knows of models: which one serves, and which training it came from. A fold over `model-events`."""

from __future__ import annotations

from dataclasses import dataclass, field

from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelExported, ModelPromoted
from labelstream.events.training import TrainingFinished, WeightsRef
from labelstream.trainings import JobBook


@dataclass
class Champions:
    """The model in service of each project."""

    trainings: dict[str, str] = field(default_factory=dict)  # model → the job that trained it
    serving: dict[str, str] = field(default_factory=dict)  # project → model

    def fold(self, _offset: int, envelope: Envelope) -> None:
        """Take one event of `model-events` into account."""
        event = envelope.event
        if isinstance(event, ModelExported):
            self.trainings[event.model] = event.job
        elif isinstance(event, ModelPromoted):
            self.serving[envelope.project] = event.model

    def champion(self, project: str, book: JobBook) -> WeightsRef | None:
        """Return the weights of the model in service, as its training left them; None when there is none."""
        model = self.serving.get(project, "")
        trained = book.jobs.get(self.trainings.get(model, ""))
        if trained is None or not isinstance(trained.ended, TrainingFinished):
            return None
        return WeightsRef(id=model, weights=trained.ended.weights, architecture=trained.ended.architecture)
