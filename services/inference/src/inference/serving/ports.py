"""What inference needs of the world, as its handlers see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

from starlette.requests import Request

from inference.engine.detecting import Detected
from inference.engine.geometry import ImageLimits, Pixels
from inference.serving.models import Reverted, ServingModel
from labelstream.errors import Unavailable
from labelstream.events.model import ModelPromoted
from labelstream.protection.promotions import PromotionStatement
from labelstream.values import Value

# Returns an image (height, width, 3) BGR, turned as its EXIF orientation says. Raises Rejected.
Decode = Callable[[bytes, ImageLimits], Pixels]


class Gate(Protocol):
    """Who may ask which project."""

    def admit(self, request: Request, project: str) -> None:
        """Let the caller of `request` ask `project`. Raises Rejected (key.…), TooMany, NotYet."""
        ...

    def may_see(self, request: Request, projects: Iterable[str]) -> tuple[str, ...]:
        """Return which of `projects` the caller may ask. Raises Rejected (key.…), TooMany, NotYet."""
        ...


class Observer(Protocol):
    """Looks at every answer, in the event loop: cheaply."""

    def answered(self, model: ServingModel, detected: Detected, *, usual: bool) -> None:
        """A model answered; `usual`: as its own defaults have it, with nothing wished otherwise."""
        ...

    def failed(self, model: ServingModel, error: Exception) -> None:
        """A model's network failed over an image that had been decoded."""
        ...


class NoGrant(Unavailable):
    """The exporter gives this device no grant of the model now; somebody may change that, so it is asked again."""

    rule = "grant.missing"
    hint = "Grant the model to this device."


class TurnedAway(NoGrant):
    """The exporter does not know this device, or no longer."""

    rule = "grant.refused"
    hint = "Enrol the device for the project, or give it its current token."


class Grants(Protocol):
    """Where a device gets what lets it open a model."""

    async def fetch(self, project: str, model: str) -> bytes:
        """Return the sealed grant. Raises NoGrant, Unavailable."""
        ...


class Deliveries(Protocol):
    """Where sealed bundles come from."""

    async def fetch(self, statement: PromotionStatement, promotion: ModelPromoted) -> Path:
        """Put the promoted model's sealed files and grant on the shelf; return the signed directory.

        Raises Rejected when a part is not what was promised, Unavailable when it can't be had now.
        """
        ...


class Highest(NamedTuple):
    """The highest promotion that was believed."""

    number: int
    model: str


class Behind(Value):
    """What stands behind a promotion that is on probation."""

    number: int  # the promotion on probation
    before: ModelPromoted  # the one that serves again when it goes back
    starts: int  # of the service with it, since the service was told to stop the last time


class Shelf(Protocol):
    """What outlives a restart: the sealed bundle in service, its grant, and how far promotions have come.

    Whatever writes raises Unavailable while it can't, as on a full disk.
    """

    def highest(self, project: str) -> Highest:
        """Return the highest promotion that was believed; number 0 when there was none."""
        ...

    def remember(self, project: str, highest: Highest) -> None:
        """Never believe a lower number again."""
        ...

    def place(self, project: str, number: int) -> Path:
        """Return an empty directory to put the sealed files of promotion `number` into."""
        ...

    def bundle(self, project: str, number: int) -> Path:
        """Return where the signed directory of promotion `number` lies."""
        ...

    def put_grant(self, project: str, number: int, grant: bytes) -> None:
        """Keep this device's grant of the model of promotion `number`."""
        ...

    def grant(self, project: str, number: int) -> bytes:
        """Return this device's grant of the model of promotion `number`."""
        ...

    def serve(self, project: str, promotion: ModelPromoted, behind: int | None = None) -> None:
        """Keep `promotion` as the one in service, and while it is on probation the one `behind` it; remove the rest."""
        ...

    def serving(self, project: str) -> ModelPromoted | None:
        """Return the promotion that was in service, when its sealed files are still here."""
        ...

    def behind(self, project: str) -> Behind | None:
        """Return what stands behind the promotion in service, while that is on probation."""
        ...

    def note_starts(self, project: str, starts: int) -> None:
        """Remember how often the service was started with the promotion that is on probation."""
        ...

    def settle(self, project: str, number: int) -> None:
        """Keep nothing behind promotion `number` any more, if it is the one in service."""
        ...

    def revert(self, project: str, reverted: Reverted) -> None:
        """Keep the promotion behind `reverted` as the one in service, if that is in service; remember why."""
        ...

    def reverted(self, project: str) -> Reverted | None:
        """Return the last promotion that was tried and went back."""
        ...

    def discard(self, project: str, number: int) -> None:
        """Remove the files of promotion `number`."""
        ...
