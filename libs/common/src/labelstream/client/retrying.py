"""When to ask again, and when to give up."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from labelstream.client.errors import Away, Busy, ClientError


@dataclass(frozen=True)
class Retries:
    """How often and how long one question is asked again: after 429 and 503, and when the connection failed.

    A pause is at least what the service asks for by Retry-After, and longer by a random part of a time that doubles.
    """

    attempts: int = 5  # the first one included
    total_s: float = 60.0  # no pause is begun that would end later
    first_s: float = 0.2
    most_s: float = 10.0

    def __post_init__(self) -> None:
        """Raise ValueError for what would ask never, or for ever."""
        if self.attempts < 1:
            raise ValueError(f"attempts is {self.attempts}: ask at least once")
        if not 0 < self.first_s <= self.most_s:
            raise ValueError(f"first_s is {self.first_s} and most_s {self.most_s}: pauses are above 0 and rise")

    @classmethod
    def none(cls) -> Retries:
        """Ask once."""
        return cls(attempts=1)


@dataclass
class Patience:
    """What is left of the attempts and the time for one question."""

    retries: Retries
    total_s: float
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[float, float], float] = random.uniform
    _asked: int = 0
    _begun: float = field(init=False)

    def __post_init__(self) -> None:
        """Begin now."""
        self._begun = self.clock()

    @property
    def spent_s(self) -> float:
        """How much time has passed."""
        return self.clock() - self._begun

    def renew(self) -> None:
        """Begin anew: the service got somewhere."""
        self._asked, self._begun = 0, self.clock()

    def pause_after(self, error: ClientError) -> float:
        """Return how long to wait before the next attempt. Raises the error when there is none."""
        self._asked += 1
        hopeless = isinstance(error, Away) and not error.again
        if hopeless or self._asked >= self.retries.attempts:
            raise error
        backoff_s = min(self.retries.first_s * 2 ** (self._asked - 1), self.retries.most_s)
        told_s = error.retry_after_s if isinstance(error, Busy) else None
        # Told when, everybody would come back at once: a random part is added. Not told, half of it is random.
        pause_s = self.jitter(backoff_s / 2, backoff_s) if told_s is None else told_s + self.jitter(0, backoff_s)
        if pause_s > self.total_s - self.spent_s:
            raise error
        return pause_s


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return how long the service asks us to wait: seconds, or up to a date by its own clock; None when it doesn't."""
    told = headers.get("retry-after", "").strip()
    if told.isascii() and told.isdecimal():
        return float(told)
    until = _date(told)
    if until is None:
        return None
    now = _date(headers.get("date", "")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def _date(told: str) -> datetime | None:
    try:
        read = parsedate_to_datetime(told)
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)
