"""How much one address and one caller may ask: counted in this process."""

from __future__ import annotations

import time

from limits import RateLimitItem
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from exporter.delivery.problems import NOBODY, TurnedAway, Who
from exporter.delivery.settings import ApiGroup, rate_of


class Rates:
    """Refuses who asks too often."""

    def __init__(self, settings: ApiGroup) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._address = rate_of(settings.address_rate)
        self._caller = rate_of(settings.caller_rate)
        self._login = rate_of(settings.login_rate)

    def request_from(self, address: str) -> None:
        """Count a request of an address. Raises TurnedAway (429)."""
        self._count(self._address, "address", address, NOBODY)

    def request_by(self, who: Who) -> None:
        """Count a request of a device or a person. Raises TurnedAway (429)."""
        self._count(self._caller, who.kind, who.name, who)

    def password_from(self, address: str) -> None:
        """Count a password that an address shows. Raises TurnedAway (429)."""
        self._count(self._login, "password", address, NOBODY)

    def _count(self, rate: RateLimitItem, what: str, of: str, who: Who) -> None:
        if self._limiter.hit(rate, what, of):
            return
        wait_s = max(1.0, self._limiter.get_window_stats(rate, what, of).reset_time - time.time())
        hint = f"Ask again in {wait_s:.0f} s."
        raise TurnedAway(429, "too-many-requests", f"more than {rate}", hint, who=who, retry_after_s=wait_s)
