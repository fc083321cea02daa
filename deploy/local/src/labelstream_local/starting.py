"""Starting and stopping the programs of a stack in order, and judging whether they came up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from labelstream_local.layout import Layout
from labelstream_local.process import StartFailed, last_lines, wait_until
from labelstream_local.supervisor import Supervisor

Progress = Callable[[str, str], None]  # what, and "starting" or "ready"
_HOPELESS = 3  # a program that ended so often while it was awaited will not come up
_RUNS = {"RUNNING", "STARTING", "STOPPING", "BACKOFF"}


@dataclass(frozen=True)
class Check:
    """How to judge that a program came up."""

    program: str
    ready: Callable[[], bool]


@dataclass
class _Watch:
    """Counts how often a program ended since we look at it."""

    supervisor: Supervisor
    program: str
    _ends: set[float] = field(default_factory=set)

    def hopeful(self) -> bool:
        state = self.supervisor.processes().get(self.program)
        if state is None:
            return False
        if state.ended_at:
            self._ends.add(state.ended_at)
        return state.state != "FATAL" and len(self._ends) < _HOPELESS


def start_programs(
    supervisor: Supervisor, layout: Layout, stages: Iterable[Sequence[Check]], progress: Progress, within_s: float
) -> None:
    """Start the programs of each stage together, and wait for all of them before the next stage. Raises StartFailed."""
    for stage in stages:
        for check in stage:
            progress(check.program, "starting")
            supervisor.start_program(check.program)
        for check in stage:
            if not wait_until(check.ready, _Watch(supervisor, check.program).hopeful, within_s, 0.2):
                log = layout.log(check.program)
                raise StartFailed(f"{check.program} did not come up. The end of {log}:\n{last_lines(log)}")
            progress(check.program, "ready")


def stop_programs(supervisor: Supervisor, stages: Iterable[Iterable[str]], within_s: float = 30.0) -> None:
    """Stop the programs of each stage together, one stage after the other, then supervisord and the rest."""
    for stage in stages:
        names = set(stage) & set(supervisor.processes())
        for name in names:
            supervisor.stop_program(name)
        wait_until(partial(_stopped, supervisor, names), lambda: True, within_s)
    supervisor.shutdown()
    wait_until(lambda: supervisor.ended, lambda: True, within_s)


def _stopped(supervisor: Supervisor, names: set[str]) -> bool:
    return not any(state.state in _RUNS for name, state in supervisor.processes().items() if name in names)
