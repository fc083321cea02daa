"""Which alerts fire while the stack suffers, by a Prometheus that watches it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import httpx

from chaos.outages import EXPECTED, Expected
from labelstream_local.process import StartFailed
from labelstream_local.prometheus import Alert, PrometheusServer, find_prometheus

LOOK_EVERY_S = 3.0


def can_be_watched() -> bool:
    """Whether a Prometheus is installed."""
    try:
        find_prometheus()
    except StartFailed:
        return False
    return True


@dataclass
class Alarms:
    """The alerts that fired, and when."""

    server: PrometheusServer
    fired: dict[str, float] = field(default_factory=dict)  # by name, for the first time
    _newest: dict[Expected, float] = field(default_factory=dict)  # seen firing, by name and program
    _due: dict[Expected, float] = field(default_factory=dict)  # from when on

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                alerts = await asyncio.to_thread(self.server.alerts)
            except (httpx.HTTPError, ValueError):  # it is busy: all of us share the machine
                alerts = ()
            self.take(alerts, time.time())
            await asyncio.sleep(LOOK_EVERY_S)

    def take(self, alerts: Iterable[Alert], at: float) -> None:
        """Take a look into account."""
        for alert in alerts:
            if alert.state == "firing":
                self.fired.setdefault(alert.name, at)
                self._newest[Expected(alert.name, alert.labels.get("program", ""))] = at

    def expect(self, expected: Iterable[Expected], since: float) -> None:
        """Let these be due: what fired before does not count."""
        self._due |= dict.fromkeys(expected, since)

    def has_fired(self, expected: Expected) -> bool:
        """Whether it did, since it is due."""
        due = self._due.get(expected, float("inf"))
        return any(
            at >= due and one.name == expected.name and expected.program in ("", one.program)
            for one, at in self._newest.items()
        )

    def silent(self) -> Iterator[str]:
        """Yield which of the expected alerts did not fire when it had to."""
        for one in EXPECTED:
            if not self.has_fired(one):
                about = f" of {one.program}" if one.program else ""
                yield f"the alert {one.name}{about} did not fire" + ("" if one in self._due else ": it was never due")
