"""What datasets were used for: the trainings on them, and the models that came of these."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from labelstream.events.base import MODEL_EVENTS, TRAINING_EVENTS, Event
from labelstream.events.model import ModelExported, ModelPromoted, ModelWithdrawn
from labelstream.events.training import TrainingEvent, TrainingProgressed, TrainingRequested
from labelstream_cli.datasets.place import Place
from labelstream_cli.erase.holders import ENDINGS, Model, Training
from labelstream_cli.reaching import event_in, stored


@dataclass
class Uses:
    """What was made from one dataset."""

    trainings: list[Training] = field(default_factory=list)
    models: list[Model] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        trainings = [{"job": one.job, "state": one.state} for one in self.trainings]
        models = [{"id": one.id, "in_service": one.in_service, "withdrawn": one.withdrawn} for one in self.models]
        return {"trainings": trainings, "models": models}


async def uses(place: Place) -> dict[str, Uses]:
    """Return the uses of each dataset that was trained on, by its id. Raises Unavailable."""
    found: dict[str, Uses] = {}
    trainings: dict[str, Training] = {}
    async for event in _events(place, TRAINING_EVENTS):
        if isinstance(event, TrainingRequested) and event.job not in trainings:
            trainings[event.job] = Training(event.job, event.dataset.id)
            found.setdefault(event.dataset.id, Uses()).trainings.append(trainings[event.job])
        if isinstance(event, TrainingEvent) and event.job in trainings:
            trainings[event.job].state = ENDINGS.get(type(event), trainings[event.job].state)
    models: dict[str, Model] = {}
    async for event in _events(place, MODEL_EVENTS):
        if isinstance(event, ModelExported):
            if event.model not in models:
                models[event.model] = Model(event.model, event.dataset_id)
                found.setdefault(event.dataset_id, Uses()).models.append(models[event.model])
        elif isinstance(event, ModelPromoted):
            for model in models.values():
                model.in_service = model.id == event.model
        elif isinstance(event, ModelWithdrawn) and event.model in models:
            models[event.model].withdrawn = True
    return found


async def _events(place: Place, stream: str) -> AsyncIterator[Event]:
    epoch = TrainingProgressed.type.encode()  # many, and nothing in them is asked for
    async for deliveries in stored(place.broker, stream, tell=place.tell):
        for delivery in deliveries:
            envelope = None if epoch in delivery.raw else event_in(delivery)
            if envelope is not None and envelope.project == place.project:
                yield envelope.event
