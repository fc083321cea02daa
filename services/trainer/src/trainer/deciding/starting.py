"""Decides when a project is trained without anybody asking, and says what its next training waits for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog

from labelstream.errors import Rejected
from labelstream.service.health import Health
from labelstream.trainings import JobBook
from labelstream.view import AnnotationView
from trainer import metrics
from trainer.deciding.keeping_time import Timekeeper
from trainer.deciding.policy import Policy
from trainer.deciding.requesting import Cause, Requesting
from trainer.recipe import TrainingRecipe

log = structlog.get_logger()


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


@dataclass
class Deciding:
    """Looks at what was validated since the last training, and at the clock."""

    policy: Policy
    timekeeper: Timekeeper | None  # of the policy's schedule
    view: AnnotationView
    book: JobBook
    requesting: Requesting
    recipe: TrainingRecipe
    health: Health
    now: Callable[[], datetime] = utc_now
    caught_up: bool = False  # the view has read once all there was: what a scheduled training takes is known
    _wanted: dict[str, int] = field(default_factory=dict)  # project → the cut that a scheduled training waits for

    async def decide(self, project: str) -> dict[str, Any]:
        """Request what is due; return what the next training waits for. Raises Unavailable."""
        now = self.now()
        validated = self._validated(project)
        if await self._keep_schedule(project, now, validated):
            validated = self._validated(project)
        not_before = self.policy.not_before(self._last_start(project))
        waits = not_before is not None and now < not_before
        cut = self.policy.cut(validated, self.requesting.datasets.readable(project), waits)
        if cut is not None and await self._request(project, "policy", cut):
            validated = self._validated(project)
        metrics.NEW.labels(project).set(len(validated))
        schedule = self.policy.schedule
        return {
            "validated_since_last": len(validated) if self.policy.counts else None,
            "needed": self.policy.min_new or None,
            "not_before": _text(not_before) if not_before is not None and waits else None,
            "next_scheduled": _text(schedule.next(now)) if schedule else None,
        }

    async def _keep_schedule(self, project: str, now: datetime, validated: Sequence[int]) -> bool:
        """Train at the set times on all that is validated by then, once it can be read; on nothing new, don't.

        Return whether a training was requested.
        """
        if self.timekeeper is None or not self.caught_up:
            return False
        moment = await self.timekeeper.due(project, now)
        if moment is None:
            return False
        if validated:
            cut = self._wanted.get(project, -1)
            if cut < validated[0]:
                cut = self._wanted[project] = validated[-1]
            if cut > self.requesting.datasets.readable(project) or not await self._request(project, "schedule", cut):
                return False
        else:
            log.info("schedule.passed", project=project, time=_text(moment), reason="nothing was validated anew")
        await self.timekeeper.keep(project, moment)
        return bool(validated)

    async def _request(self, project: str, cause: Cause, cut: int) -> bool:
        """Request a training; False, and say so, while it can't be."""
        what = f"next training of {project}"
        try:
            await self.requesting.train(project, cause, cut, self.recipe)
        except Rejected as error:
            self.health.degraded(what, f"{error.rule}: {error.reason}. {error.hint}")
            return False
        self.health.degraded(what, None)
        return True

    def _validated(self, project: str) -> Sequence[int]:
        """Return the offsets at which something was validated since the last cut; nobody asks when none counts."""
        return self.view.validations(project, after=self.book.last_cuts.get(project, -1)) if self.policy.counts else []

    def _last_start(self, project: str) -> datetime | None:
        """Return when a training was last requested that nobody asked for."""
        times = [
            state.requested_ms
            for state in self.book.jobs.values()
            if state.project == project and state.requested.cause != "request"
        ]
        return datetime.fromtimestamp(max(times) / 1000, UTC) if times else None


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
