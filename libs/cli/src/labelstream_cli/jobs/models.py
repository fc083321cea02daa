"""What became of a finished training: its model, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from labelstream.events.base import MODEL_EVENTS
from labelstream.events.model import ModelExported, ModelPromoted, ModelRefused, ModelWithdrawn
from labelstream_cli.jobs.place import Place
from labelstream_cli.reaching import event_in, stored


@dataclass
class Model:
    """What the exporter says of a job's weights."""

    id: str | None = None
    refused: str | None = None
    promoted: int | None = None  # the number of its last promotion
    in_service: bool = False
    withdrawn: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return vars(self).copy()


async def model_of(place: Place, project: str, job: str) -> Model | None:
    """Return what became of a job's weights; None when the exporter has not said anything. Raises Unavailable."""
    model = Model()
    async for deliveries in stored(place.broker, MODEL_EVENTS, tell=place.tell):
        for delivery in deliveries:
            envelope = event_in(delivery)
            if envelope is not None and envelope.project == project:
                _take(model, job, envelope.event)
    return model if model.id or model.refused else None


def _take(model: Model, job: str, event: object) -> None:
    match event:
        case ModelExported() if event.job == job:
            model.id = event.model
        case ModelRefused() if event.job == job:
            model.refused = f"{event.rule}: {event.reason}"
        case ModelPromoted():
            model.in_service = event.model == model.id
            model.promoted = event.number if model.in_service else model.promoted
        case ModelWithdrawn() if event.model == model.id:
            model.withdrawn, model.in_service = True, False
