"""Following every stream of the stack into the state, and waiting for what must happen next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS, MODEL_EVENTS, SERVING_EVENTS, TRAINING_EVENTS
from labelstream.service.health import Health
from labelstream.streams.following import follow
from labelstream.streams.ports import Broker
from labelstream_cli.demo.state import DemoState
from labelstream_cli.running import CommandFailed

STREAMS = (ANNOTATION_EVENTS, BATCH_EVENTS, TRAINING_EVENTS, MODEL_EVENTS, SERVING_EVENTS)
_LOOK_EVERY_S = 0.2


@dataclass
class Follower:
    """Waits for the state to get somewhere; notices when nothing happens any more."""

    state: DemoState
    patience_s: float
    look: Callable[[], str | None] = lambda: None  # called at each look; returns why it will never happen
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _behind: set[str] = field(default_factory=lambda: set(STREAMS))

    @asynccontextmanager
    async def following(self, broker: Broker) -> AsyncIterator[None]:
        """Follow all streams while inside."""
        health = Health()
        for stream in STREAMS:

            def caught_up(stream: str = stream) -> None:
                self._behind.discard(stream)

            work = follow(broker, stream, "first", self.state.fold, health, caught_up=caught_up)
            self._tasks.append(asyncio.create_task(work))
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def history(self) -> None:
        """Return when everything that stood in the streams is folded."""
        await self.until("the streams to be read", lambda: not self._behind)

    async def until(self, what: str, reached: Callable[[], bool], within_s: float | None = None) -> bool:
        """Wait for `reached`; False when it was not after `within_s` seconds.

        Raises CommandFailed when it can't happen any more, or nothing at all happened for too long.
        """
        began = quiet_since = time.monotonic()
        events = self.state.events
        while not reached():
            problem = self.look()
            if problem is not None:
                raise CommandFailed(problem)
            for task in self._tasks:
                if task.done():
                    task.result()  # raises what ended it
            now = time.monotonic()
            if self.state.events != events:
                events, quiet_since = self.state.events, now
            if within_s is not None and now - began > within_s:
                return False
            if now - quiet_since > self.patience_s:
                raise CommandFailed(f"waited for {what}, but nothing happened for {self.patience_s / 60:.0f} minutes")
            await asyncio.sleep(_LOOK_EVERY_S)
        self.look()
        return True
