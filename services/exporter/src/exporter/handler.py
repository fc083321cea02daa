"""Decides what is exported, refused and promoted: the one writer of `model-events`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Protocol

from exporter import metrics
from exporter.exporting.exporting import Exporting
from exporter.exporting.voice import NAME
from labelstream.exports import WaitingFormat
from labelstream.models import ModelBook
from labelstream.service.health import Health

__all__ = ["NAME", "Decider", "Registry"]


class Registry(Protocol):
    """Says which model serves."""

    async def consider(self) -> None:
        """Promote what the policy finds better; raises Unavailable, and does the rest when it is called again."""
        ...


@dataclass(frozen=True)
class Decider:
    """Answers every finished training with a model or a refusal, and has the better model promoted."""

    exporting: Exporting
    registry: Registry
    book: ModelBook
    health: Health

    async def tick(self) -> None:
        """Do whatever is due; raises Unavailable, and does the rest when it is called again."""
        await self.exporting.tick()
        await self.registry.consider()
        self._tell()

    def _tell(self) -> None:
        """Show in /readyz and in the metrics how things stand."""
        waiting, there = self.exporting.waiting, self.exporting.announced.there
        metrics.measure_models(self.book)
        metrics.measure_waiting(waiting, int(time.time() * 1000))
        serving = {project: made[-1].event.model for project, made in self.book.promotions.items()}
        self.health.fact("model", serving)
        self.health.fact("workers", {said.worker: [one.queue for one in said.capabilities] for said in there})
        self.health.fact("waiting_formats", {project: _told(some) for project, some in waiting.items() if some})
        for project, some in waiting.items():
            self.health.degraded(f"formats of {project}", _in_words(some))


def _told(waiting: list[WaitingFormat]) -> list[dict[str, Any]]:
    return [{"format": each.format, "since_ms": each.since_ms, "why": each.why} for each in waiting]


def _in_words(waiting: list[WaitingFormat]) -> str | None:
    """Return the oldest that waits, and how many wait beside it."""
    if not waiting:
        return None
    oldest = min(waiting, key=lambda each: each.since_ms)
    more = f"; {len(waiting) - 1} more wait" if len(waiting) > 1 else ""
    return f"{oldest.format} waits: {oldest.why}{more}"
