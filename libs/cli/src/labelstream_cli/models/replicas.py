"""Which replicas of inference do not answer with a model that they were told to: the last word of each on it."""

from __future__ import annotations

from dataclasses import dataclass, field

from labelstream.events.base import SERVING_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.events.serving import ModelActivated, ModelActivationFailed, ModelReverted
from labelstream_cli.jobs.place import Place
from labelstream_cli.jobs.words import SHORT
from labelstream_cli.reaching import event_in, stored


@dataclass(frozen=True)
class Without:
    """A replica that refused a model, or went back from it."""

    replica: str
    number: int  # of the promotion
    event: ModelActivationFailed | ModelReverted
    time_ms: int

    @property
    def words(self) -> str:
        """What it says, in one line."""
        did = "went back from it" if isinstance(self.event, ModelReverted) else "refused it"
        instead = f"; {self.event.serving[:SHORT]} answers there" if self.event.serving else ""
        return f"{self.replica} {did}: {self.event.reason}{instead}"


@dataclass
class Replicas:
    """What the replicas told of the promotions that they followed."""

    _last: dict[tuple[str, str], Without] = field(default_factory=dict)  # by model and replica

    def fold(self, envelope: Envelope) -> None:
        """Take one event of `serving-events` into account."""
        match envelope.event:
            case ModelActivated() as event:
                self._last.pop((event.model, event.replica), None)
            case (ModelActivationFailed() | ModelReverted()) as event:
                told = Without(event.replica, event.number, event, envelope.time_ms)
                self._last[event.model, event.replica] = told

    def without(self, model: str) -> list[Without]:
        """Return the replicas that were to answer with a model and do not, by name."""
        found = [told for (named, _), told in self._last.items() if named == model]
        return sorted(found, key=lambda each: each.replica)


async def read_replicas(place: Place) -> Replicas:
    """Read all that `serving-events` holds now. Raises Unavailable, CommandFailed."""
    replicas = Replicas()
    async for deliveries in stored(place.broker, SERVING_EVENTS, tell=place.tell):
        for delivery in deliveries:
            envelope = event_in(delivery)
            if envelope is not None:
                replicas.fold(envelope)
    return replicas
