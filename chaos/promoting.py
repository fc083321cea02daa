"""Somebody who lets every new model serve: tiny networks would seldom beat the one before."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from chaos.streams import PROJECT, Streams
from labelstream.errors import Misconfigured, Unavailable
from labelstream.events.model import ModelExported, ModelPromoted
from labelstream.jobs.ports import JobQueue
from labelstream.model_requests import ModelRequest, Promote
from labelstream_cli.models.asking import ask

LOOK_EVERY_S = 2.0
AGAIN_AFTER_S = 30.0
BY, WHY = "chaos", "every model of this run serves for a while"


@dataclass
class Promoting:
    """Asks for the newest model until it is promoted."""

    streams: Streams
    queue: JobQueue
    problems: int = 0
    _asked: dict[str, float] = field(default_factory=dict)

    def waiting(self) -> str | None:
        """Return the newest model, unless it was promoted."""
        exported = self.streams.events(ModelExported)
        promoted = {one.model for one in self.streams.events(ModelPromoted)}
        newest = exported[-1].model if exported else None
        return None if newest in promoted else newest

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            model = self.waiting()
            if model is not None and time.monotonic() - self._asked.get(model, -AGAIN_AFTER_S) >= AGAIN_AFTER_S:
                self._asked[model] = time.monotonic()
                await self._ask(model)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _ask(self, model: str) -> None:
        request = ModelRequest(what=Promote(model=model), by=BY, why=WHY)
        try:
            await ask(self.queue, PROJECT, request)
        except (Unavailable, Misconfigured, TimeoutError):  # the broker is away: it is asked for again
            self.problems += 1
