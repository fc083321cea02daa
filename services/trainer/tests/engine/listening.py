"""Somebody who has a training done and listens to it."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from trainer.engine.contract import Progress, Recovery, TrainingResult, TrainingSpec
from trainer.engine.process import MODULE, Hear, run_training


@dataclass
class Listener:
    """Writes down what a training tells, and runs it."""

    epochs: list[Progress] = field(default_factory=list)
    recoveries: list[Recovery] = field(default_factory=list)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def on_progress(self, progress: Progress) -> None:
        self.epochs.append(progress)

    async def on_recovery(self, recovery: Recovery) -> None:
        self.recoveries.append(recovery)

    @property
    def numbers(self) -> list[int]:
        return [progress.epoch for progress in self.epochs]

    @property
    def rules(self) -> list[tuple[str, int]]:
        return [(recovery.rule, recovery.epoch) for recovery in self.recoveries]

    async def train(self, spec: TrainingSpec, module: str = MODULE) -> TrainingResult:
        return await run_training(spec, Hear(self.on_progress, self.on_recovery), self.cancelled, module)


def kill_engine(out: Path) -> None:
    """Kill the engine that works in `out`, a child of this process; there is none while a killed one is replaced."""
    me = os.getpid()
    for line in Path(f"/proc/{me}/task/{me}/children").read_text().split():
        with suppress(FileNotFoundError, ProcessLookupError):  # a child that has just ended
            if str(out).encode() in Path(f"/proc/{line}/cmdline").read_bytes():
                os.kill(int(line), signal.SIGKILL)
