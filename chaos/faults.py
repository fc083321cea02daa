"""Doing faults to a stack, and healing them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from chaos.clocks import Clocks
from chaos.disks import Disk
from chaos.processes import resume, suspend, tree_of
from chaos.proxy import PASS, Mode, Rule
from chaos.schedule import NETWORK, Fault, Kind
from chaos.walls import Walls
from labelstream_local.process import StartFailed, wait_until
from labelstream_local.stack import Stack

DELAY_S = 0.3  # of each piece that goes through a slow network
RUNS_WITHIN_S = 30.0  # a program that is to be killed
RESTARTS_WITHIN_S = 60.0
MODES: dict[Kind, Mode] = {
    "cut": "cut",
    "black-hole": "black-hole",
    "delay": "delay",
    "half-close": "half-close",
}


@dataclass
class Faults:
    """What can be done to a stack."""

    stack: Stack
    walls: Walls
    disks: Mapping[str, Disk]
    clocks: Clocks | None
    _paused: dict[str, list[psutil.Process]] = field(default_factory=dict)

    async def do(self, fault: Fault) -> None:
        """Do it. Raises TimeoutError when what is to be killed does not run."""
        if fault.kind in NETWORK:
            await self.walls.obey(fault.target, fault.server, Rule(MODES[fault.kind], DELAY_S))
        elif fault.kind == "kill":
            await self._kill(fault.target)
        else:
            await asyncio.to_thread(self._do, fault)

    async def heal(self, fault: Fault) -> None:
        """Undo it; healing what is well does nothing."""
        if fault.kind in NETWORK:
            await self.walls.obey(fault.target, fault.server, PASS)
        elif fault.kind != "kill":
            await asyncio.to_thread(self._heal, fault)

    async def _kill(self, program: str) -> None:
        """Kill it; one that the supervisor is about to start is awaited."""
        async with asyncio.timeout(RUNS_WITHIN_S):
            while True:
                try:
                    await asyncio.to_thread(self.stack.kill, program)
                except (StartFailed, ProcessLookupError):
                    await asyncio.sleep(0.2)
                else:
                    return

    def _do(self, fault: Fault) -> None:
        match fault.kind:
            case "pause":
                self._paused[fault.target] = _pause(self.stack, fault.target)
            case "full-disk":
                self.disks[fault.target].fill()
            case "clock" if self.clocks is not None:
                self.clocks.set(fault.target, fault.shift_s)
                _restart(self.stack, fault.target)

    def _heal(self, fault: Fault) -> None:
        match fault.kind:
            case "pause":
                resume(self._paused.pop(fault.target, []))
            case "full-disk":
                self.disks[fault.target].free()
            case "clock" if self.clocks is not None:
                self.clocks.set(fault.target, 0)
                _restart(self.stack, fault.target)


def _pause(stack: Stack, program: str) -> list[psutil.Process]:
    """Stop a program, and what it started after it: a child that it was just starting stops as well."""
    stopped: list[psutil.Process] = []
    while fresh := [process for process in tree_of(stack, program) if process not in stopped]:
        suspend(fresh)
        stopped += fresh
    return stopped


def _restart(stack: Stack, program: str) -> None:
    """Ask a program to stop, and return once the supervisor has started it again, or it does not get that far."""
    before = _pid(stack, program)
    if before is not None:
        with suppress(ProcessLookupError):
            os.kill(before, signal.SIGTERM)
    wait_until(lambda: _pid(stack, program) not in (before, None), lambda: True, RESTARTS_WITHIN_S, 0.2)


def _pid(stack: Stack, program: str) -> int | None:
    state = stack.supervisor.processes().get(program)
    return None if state is None else state.pid
