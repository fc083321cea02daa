"""What a service process waits for: the truth behind /readyz."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Health:
    """Collects what is waiting or degraded. Ready means that nothing is waiting."""

    clock: Callable[[], float] = time.monotonic  # seconds; one that is set must not make anything look old
    _waiting: dict[str, tuple[float, str]] = field(default_factory=dict)
    _degraded: dict[str, str] = field(default_factory=dict)
    _facts: dict[str, Any] = field(default_factory=dict)

    def waiting(self, what: str, reason: str) -> None:
        """Say that `what` is awaited and why; the first call starts the clock."""
        since = self._waiting.get(what, (self.clock(), ""))[0]
        self._waiting[what] = (since, reason)

    def ready(self, what: str) -> None:
        """Say that `what` is there (again)."""
        self._waiting.pop(what, None)

    def degraded(self, what: str, reason: str | None) -> None:
        """Say that `what` works but somebody should look; None when it is well again."""
        if reason is None:
            self._degraded.pop(what, None)
        else:
            self._degraded[what] = reason

    def fact(self, name: str, value: Any) -> None:
        """Publish a fact that operators ask for, such as the model in service."""
        self._facts[name] = value

    def handled(self, stream: str, offset: int) -> None:
        """Say that the message at `offset` of a stream that we read was handled."""
        self._facts.setdefault("streams", {})[stream] = {"offset": offset}

    @property
    def is_ready(self) -> bool:
        """Whether nothing is waiting."""
        return not self._waiting

    def report(self) -> dict[str, Any]:
        """Return what /readyz answers."""
        now = self.clock()
        return {
            "ready": self.is_ready,
            "waiting": {
                what: {"reason": reason, "for_s": round(now - since, 1)}
                for what, (since, reason) in self._waiting.items()
            },
            "degraded": dict(self._degraded),
            **self._facts,
        }
