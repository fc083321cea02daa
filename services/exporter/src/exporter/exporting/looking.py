"""How the export of a training to a format stands, by what workers announced and left in the store."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import ValidationError

from exporter import metrics
from exporter.domain import Trained
from exporter.exporting.announced import Announced
from exporter.exporting.orders import ExportLeft, Orders
from labelstream.formats import Format
from labelstream.jobs.desk import Desk, Standing
from labelstream.jobs.worker import Failure

ABSENT_LOOK_EVERY_S = 30.0  # a worker that is gone may still have left something


@dataclass(frozen=True)
class Built:
    """A worker built it, and said how it agrees."""

    left: ExportLeft


@dataclass(frozen=True)
class Failed:
    """It can't be built."""

    failure: Failure


@dataclass(frozen=True)
class Building:
    """A worker is at it, or will be."""


@dataclass(frozen=True)
class Absent:
    """Nobody is there to build it."""

    silent_s: float


Stand = Built | Failed | Building | Absent
_Key = tuple[str, str]  # training, format


@dataclass
class Looking:
    """Looks at jobs, and offers those that somebody can do. What is over is read once."""

    desk: Desk
    orders: Orders
    announced: Announced
    _over: dict[_Key, Built | Failed] = field(default_factory=dict)
    _looked_at: dict[_Key, float] = field(default_factory=dict)

    async def look(self, trained: Trained, wanted: Format) -> Stand:
        """Say how a format stands, and see to it that it goes on. Raises Unavailable."""
        key = trained.job, wanted.name
        if key in self._over:
            return self._over[key]
        if self._is_due(key, wanted.queue):
            job = self.orders.job(trained, wanted)
            standing = await self.desk.standing(job.project, job.id)
            over = _over(standing, wanted) if standing else None
            if over is not None:
                self._over[key] = over
                _measure(trained.project, wanted, over)
                return over
            if standing is not None and standing.state == "held":
                return Building()
            if self.announced.workers(wanted.queue):
                await self.desk.offer(wanted.queue, job, standing)
        if self.announced.has_none(wanted.queue):
            return Absent(self.announced.silent_s(wanted.queue))
        return Building()

    def forget(self, trained: Trained) -> None:
        """Forget what was read of a training that is settled."""
        for known in (self._over, self._looked_at):
            for key in [key for key in known if key[0] == trained.job]:
                del known[key]

    def _is_due(self, key: _Key, queue: str) -> bool:
        """Say whether a job is worth a look now: what nobody can do changes seldom."""
        now = self.announced.now()
        before = self._looked_at.get(key)
        if before is not None and self.announced.has_none(queue) and now - before < ABSENT_LOOK_EVERY_S:
            return False
        self._looked_at[key] = now
        return True


def _measure(project: str, wanted: Format, over: Built | Failed) -> None:
    if isinstance(over, Built):
        metrics.measure_export(project, wanted.name, over.left.seconds, over.left.facts.agreement)


def _over(standing: Standing, wanted: Format) -> Built | Failed | None:
    """Return how a job ended; None when it has not."""
    if standing.failure is not None:
        return Failed(standing.failure)
    if standing.result is None:
        return None
    try:
        left = ExportLeft.model_validate_json(standing.result)
    except ValidationError as error:
        return Failed(Failure(rule="job.unreadable_result", reason=str(error)))
    if left.facts.name != wanted.name:
        return Failed(Failure(rule="export.wrong_format", reason=f"{left.facts.name} was built, not {wanted.name}"))
    return Built(left)
