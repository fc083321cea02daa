"""Decides trainings and says how they go: the one writer of `training-events`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from labelstream.service.health import Health
from labelstream.training_requests import QUEUE as REQUESTS
from labelstream.trainings import JobBook, JobState
from trainer import metrics
from trainer.deciding.counter import Counter
from trainer.deciding.following import Following
from trainer.deciding.starting import Deciding
from trainer.deciding.voice import NAME

__all__ = ["NAME", "REQUESTS", "Decider"]


@dataclass
class Decider:
    """Requests a training when one is due or asked for, offers it to workers, and publishes what they found."""

    book: JobBook
    counter: Counter
    deciding: Deciding
    following: Following
    projects: tuple[str, ...]
    health: Health

    async def tick(self) -> None:
        """Do whatever is due; raises Unavailable, and does the rest when it is called again."""
        try:
            await self.counter.serve()
            upcoming = {project: await self._decided(project) for project in self.projects}
            self.health.fact("next_training", upcoming)
            for state in self.book.open_jobs():
                await self.following.follow(state)
        finally:
            self._show()

    async def _decided(self, project: str) -> dict[str, Any]:
        waits_for = await self.deciding.decide(project)
        return {**waits_for, "asked_for": self.counter.waiting(project)}

    def _show(self) -> None:
        self.health.fact("trainings", [_fact(state) for state in self.book.open_jobs()])
        heard_ms = self.following.diaries.heard_ms
        metrics.measure(self.book, self.projects, int(time.time() * 1000), heard_ms)


def _fact(state: JobState) -> dict[str, Any]:
    """Say how a job is going."""
    last = state.progress
    return {
        "job": state.job,
        "project": state.project,
        "state": state.state,
        "attempt": state.attempt,
        "worker": state.worker,
        "epoch": state.epochs_told,
        "epochs": last.epochs if last else state.requested.recipe.get("epochs"),
        "map50": last.map50 if last else None,
        "eta_s": last.eta_s if last else None,
        "recoveries": len(state.recoveries),
    }
