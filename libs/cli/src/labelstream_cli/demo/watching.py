"""Why a demonstration can't succeed any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.client import HTTPException

from labelstream_cli.demo.stages import Course
from labelstream_cli.demo.state import DemoState
from labelstream_local.stack import Stack

_EVERY_S = 3.0


def refusal(state: DemoState, course: Course) -> str | None:
    """Return what the services said against our training or our model."""
    seen = course.training
    if seen is None:
        return None
    if seen.problem is not None:
        return seen.problem
    job = seen.requested.job
    if job in state.refusals:
        refused = state.refusals[job]
        return f"the exporter refused the model: {refused.rule}: {refused.reason}"
    exported = state.exported.get(job)
    failed = state.activation_failures.get(exported.model) if exported else None
    if failed is not None:
        return f"{failed.replica} refused the promoted model: {failed.rule}: {failed.reason}"
    return None


@dataclass
class Programs:
    """Looks now and then whether the supervisor gave a program up."""

    fatal: Callable[[], Iterable[str]]
    _looked: float = field(default=0.0)

    @classmethod
    def of(cls, stack: Stack) -> Programs:
        """Look at a stack's supervisor."""

        def fatal() -> list[str]:
            try:
                processes = stack.supervisor.processes()
            except (OSError, HTTPException):  # it is busy, or going down
                return []
            return [state.name for state in processes.values() if state.state == "FATAL"]

        return cls(fatal)

    def problem(self) -> str | None:
        """Return which program does not come up any more."""
        if time.monotonic() - self._looked < _EVERY_S:
            return None
        self._looked = time.monotonic()
        names = sorted(self.fatal())
        return f"{', '.join(names)} ended again and again and is not started any more" if names else None
