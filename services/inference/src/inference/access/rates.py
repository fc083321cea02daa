"""How often: a token bucket for each key, on the clock that nobody sets."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from labelstream.errors import Unavailable

MOST_BUCKETS = 10_000  # of what callers can make up, such as addresses
_MINUTE_S = 60.0


class TooMany(Unavailable):
    """Somebody asks more often than they may; the same request goes through a little later."""

    def __init__(self, what: str, reason: str, retry_after_s: int) -> None:
        """Say who asks too often, and after how many whole seconds the next request goes through."""
        super().__init__(what, reason)
        self.args = (f"{what} asks too often: {reason}",)
        self.retry_after_s = retry_after_s


@dataclass
class _Bucket:
    tokens: float
    at_s: float


@dataclass
class Rates:
    """Counts requests by whom they come from. A minute's worth may come at once.

    Who was idle longest is forgotten first. Counters are those of one process: two replicas let through twice as much.
    """

    clock: Callable[[], float] = time.monotonic
    most: int = MOST_BUCKETS
    _buckets: OrderedDict[str, _Bucket] = field(default_factory=OrderedDict)

    def take(self, who: str, per_minute: float) -> int | None:
        """Count a request; None when it may go on, else after how many whole seconds to ask again."""
        bucket = self._filled(who, per_minute)
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return None
        return math.ceil((1 - bucket.tokens) * _MINUTE_S / per_minute)

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._buckets)

    def _filled(self, who: str, per_minute: float) -> _Bucket:
        now = self.clock()
        most = max(1.0, per_minute)  # a rate below one a minute still lets one through
        bucket = self._buckets.get(who)
        if bucket is None:
            bucket = self._buckets[who] = _Bucket(most, now)
            if len(self._buckets) > self.most:
                self._buckets.popitem(last=False)
            return bucket
        self._buckets.move_to_end(who)
        bucket.tokens = min(most, bucket.tokens + (now - bucket.at_s) * per_minute / _MINUTE_S)
        bucket.at_s = now
        return bucket
