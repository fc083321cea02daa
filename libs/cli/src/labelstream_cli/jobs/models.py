"""What became of a finished training: its model, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from labelstream.events.base import MODEL_EVENTS
from labelstream.exports import open_formats
from labelstream.models import ModelBook, Refusal
from labelstream_cli.jobs.place import Place
from labelstream_cli.reaching import event_in, stored


@dataclass(frozen=True)
class Model:
    """What the exporter says of a job's weights; where there are several editions, of the newest."""

    id: str | None = None
    refused: str | None = None  # no format could be made
    promoted: int | None = None  # the number of the last promotion
    in_service: bool = False
    withdrawn: bool = False
    formats: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()  # formats that may still come
    refused_formats: dict[str, str] = field(default_factory=dict)  # format → why

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return vars(self) | {"formats": list(self.formats), "waiting": list(self.waiting)}


async def model_of(place: Place, project: str, job: str) -> Model | None:
    """Return what became of a job's weights; None when the exporter has not said anything. Raises Unavailable."""
    book = ModelBook()
    async for deliveries in stored(place.broker, MODEL_EVENTS, tell=place.tell):
        for delivery in deliveries:
            envelope = event_in(delivery)
            if envelope is not None and envelope.project == project:
                book.fold(delivery.offset, envelope)
    return told(book, project, job)


def told(book: ModelBook, project: str, job: str) -> Model | None:
    """Return what `model-events` says of a job's weights; None when that is nothing."""
    editions, refusals = book.editions(job), book.refusals.get(job, [])
    refused = {each.event.format: _why(each) for each in refusals}
    whole = refused.pop(None, None)
    formats = {name: why for name, why in refused.items() if name is not None}
    if not editions:
        return Model(refused=whole, refused_formats=formats) if refusals else None
    newest, champion = editions[-1], book.champion(project)
    promotions = [promotion.event.number for state in editions for promotion in state.promotions]
    return Model(
        id=newest.model,
        promoted=max(promotions, default=None),
        in_service=champion in editions,
        withdrawn=any(state.withdrawn is not None for state in editions),
        formats=tuple(each.name for each in newest.exported.artifacts),
        waiting=open_formats(book, job, ()),
        refused_formats=formats,
    )


def _why(refusal: Refusal) -> str:
    return f"{refusal.event.rule}: {refusal.event.reason}"
