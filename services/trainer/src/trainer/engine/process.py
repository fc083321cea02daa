"""Runs the training engine as a subprocess, and again after what can be recovered from. Imports no torch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from labelstream_yolo.child import Engine, EngineCancelledError, EngineFailedError
from labelstream_yolo.engine import DISK_FULL, lack_of_room
from trainer.engine import checkpoints
from trainer.engine.contract import PROGRESS, RECOVERIES, Adjustments, Progress, Recovery, TrainingResult, TrainingSpec
from trainer.engine.kills import memory_kills
from trainer.engine.recovering import (
    DAMAGED,
    DIED,
    IN_FORCE,
    MOST_DEATHS,
    NOT_FINITE,
    OUT_OF_MEMORY,
    after,
    batch_of,
    devices_in,
    merged,
)

__all__ = ["EngineCancelledError", "EngineFailedError", "Hear", "run_training"]

MODULE = "trainer.engine"


@dataclass(frozen=True)
class Hear:
    """Who is told what happens; an error raised here ends the engine and comes out of `run_training`."""

    on_progress: Callable[[Progress], Awaitable[None]]
    on_recovery: Callable[[Recovery], Awaitable[None]]


async def run_training(
    spec: TrainingSpec, hear: Hear, cancelled: asyncio.Event, module: str = MODULE
) -> TrainingResult:
    """Train as `spec` says, in a subprocess that dies with this process, going on after what can be recovered from.

    `hear` is told of each epoch that stands once and in order, whoever trained it, and of each recovery. Raises
    EngineFailedError with the rule, the reason and the log's tail, and EngineCancelledError once `cancelled` is set.
    However it ends, the subprocess is gone; run again with the same spec, it goes on from its checkpoint.
    """
    return await _Run(spec, hear, cancelled, module).to_the_end()


@dataclass
class _Run:
    spec: TrainingSpec
    hear: Hear
    cancelled: asyncio.Event
    module: str
    heard: int = 0  # the last epoch that was told
    deaths: int = 0  # since then
    kills: int = 0  # when the engine was started

    @property
    def out(self) -> Path:
        return self.spec.out_dir

    async def to_the_end(self) -> TrainingResult:
        while True:
            try:
                return await self._once()
            except EngineFailedError as failure:
                adjustments = await self._recovered(failure)
            self.spec = self.spec.model_copy(update={"adjustments": adjustments, "resume": True})

    async def _once(self) -> TrainingResult:
        for stale in (PROGRESS, IN_FORCE):
            (self.out / stale).unlink(missing_ok=True)
        self.kills = memory_kills()
        engine = Engine(self.module, self.spec, self.out, self.out / PROGRESS)
        result = TrainingResult.model_validate(await engine.run(self._on_line, self.cancelled))
        for progress in result.history:
            await self._tell(progress)
        return result

    async def _on_line(self, line: bytes) -> None:
        await self._tell(Progress.model_validate_json(line))

    async def _tell(self, progress: Progress) -> None:
        if progress.epoch > self.heard:
            await self.hear.on_progress(progress)
            self.heard = progress.epoch
            self.deaths = 0

    async def _recovered(self, failure: EngineFailedError) -> Adjustments:
        """Tell of the recovery and return with what it goes on, or raise `failure` with what was tried."""
        rule, reason = self._understood(failure)
        self.deaths += rule == DIED
        now = merged(self.spec.adjustments, self._in_force())
        changed = after(rule, now, self.spec.recipe, devices_in(self.spec.device))
        if changed is None or self.deaths > MOST_DEATHS:
            raise EngineFailedError(rule, reason + self._tried(rule, now), failure.log_tail) from failure
        if rule == DAMAGED:
            checkpoints.fall_back(self.out)
        recovery = Recovery(
            epoch=checkpoints.epochs_in(self.out),
            rule=rule,
            reason=reason,
            batch=batch_of(changed, self.spec.recipe),
            learning_rate_scale=changed.learning_rate_scale,
        )
        self._note(recovery)
        await self.hear.on_recovery(recovery)
        return changed

    def _note(self, recovery: Recovery) -> None:
        try:
            with (self.out / RECOVERIES).open("a") as file:
                file.write(recovery.model_dump_json() + "\n")
        except OSError as error:
            full = lack_of_room(error, self.out)
            if full is None:
                raise
            raise EngineFailedError(DISK_FULL, full, "") from error

    def _understood(self, failure: EngineFailedError) -> tuple[str, str]:
        """Return rule and reason; a death for want of memory looks like any other but to the kernel."""
        if failure.rule == DIED and memory_kills() > self.kills:
            return OUT_OF_MEMORY, f"{failure.reason}: the kernel ended it for want of memory"
        return failure.rule, failure.reason

    def _in_force(self) -> Adjustments:
        path = self.out / IN_FORCE
        return Adjustments.model_validate_json(path.read_bytes()) if path.exists() else Adjustments()

    def _tried(self, rule: str, now: Adjustments) -> str:
        if rule == OUT_OF_MEMORY:
            return f"; the batch is {batch_of(now, self.spec.recipe)} and can't be halved any more"
        if rule == NOT_FINITE:
            return f"; it went back to the last good checkpoint {now.not_finite} times, each time with half the rate"
        if rule == DIED:
            return f"; it died {self.deaths} times without an epoch in between"
        return ""
