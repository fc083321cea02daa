"""Wrong passwords make the next try wait, longer each time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

MOST = 10_000  # names that are remembered at once


@dataclass
class _Tries:
    wrong: int = 0
    last: float = 0.0
    locked_until: float = 0.0


@dataclass
class Lockout:
    """Counts wrong passwords of accounts, or of addresses: the `free`th locks for `first_s`, each one more for longer.

    A try counts as wrong from its beginning, so that many at once get no further than one after the other.
    """

    free: int
    first_s: float
    longest_s: float
    clock: Callable[[], float] = time.monotonic
    _tries: dict[str, _Tries] = field(default_factory=dict)

    def begin(self, name: str) -> float:
        """Count a try. Returns for how many seconds it must wait instead; 0: it may go on."""
        now = self.clock()
        tries = self._tries.get(name)
        if tries is not None and now < tries.locked_until:
            return tries.locked_until - now
        if tries is None or now - tries.last > self.longest_s:
            self._make_room()
            tries = self._tries[name] = _Tries()
        tries.wrong += 1
        tries.last = now
        if tries.wrong >= self.free:
            doubled = min(tries.wrong - self.free, 40)  # far beyond the longest
            tries.locked_until = now + min(self.longest_s, self.first_s * 2**doubled)
        return 0.0

    def is_locked(self, name: str) -> bool:
        """Say whether the next try must wait."""
        tries = self._tries.get(name)
        return tries is not None and self.clock() < tries.locked_until

    def forgive(self, name: str) -> None:
        """Take back one try, which was right or was never made."""
        tries = self._tries.get(name)
        if tries is not None:
            tries.wrong -= 1
            tries.locked_until = 0.0 if tries.wrong < self.free else tries.locked_until
            if tries.wrong <= 0:
                del self._tries[name]

    def forget(self, name: str) -> None:
        """Forget all tries: the right password was shown."""
        self._tries.pop(name, None)

    def _make_room(self) -> None:
        """Forget, of too many, those that matter least: the fewest wrong tries, then the longest ago."""
        if len(self._tries) < MOST:
            return
        by_weight = sorted(self._tries, key=lambda name: (self._tries[name].wrong, self._tries[name].last))
        for name in by_weight[: MOST // 10]:
            del self._tries[name]
