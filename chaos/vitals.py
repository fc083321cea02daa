"""How the services of a stack feel: ready or not, from moment to moment, and how much they hold."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
from benchmarks.serving.server import memory_of

from chaos.processes import strays, trees_of
from labelstream_local.stack import Stack

LOOK_EVERY_S = 0.5
WEIGH_EVERY_S = 8.0
ANSWERS_WITHIN_S = 3.0
STRAY_FOR = 3  # looks in a row: what a killed service left may take a moment to notice


@dataclass
class Stretch:
    """A time in which every look at /readyz found the same."""

    since: float  # the first look
    until: float  # the newest
    is_ready: bool
    why: str = ""  # not


@dataclass
class Looks:
    """All looks at one service."""

    stretches: list[Stretch] = field(default_factory=list)

    def add(self, at: float, why: str | None) -> None:
        """Take a look into account; `why` it is not ready, None when it is."""
        newest = self.stretches[-1] if self.stretches else None
        if newest is not None and (newest.is_ready, newest.why) == (why is None, why or ""):
            newest.until = at
        else:
            self.stretches.append(Stretch(at, at, why is None, why or ""))

    def ready_after(self, moment: float) -> float | None:
        """Return when it was first seen ready after a moment; None: not yet."""
        seen = (max(one.since, moment) for one in self.stretches if one.is_ready and one.until >= moment)
        return next(seen, None)

    def problem(self, since: float = 0.0) -> str | None:
        """Return why it is not ready now, as of looks from a moment on; None when it is."""
        newest = self.stretches[-1] if self.stretches else None
        if newest is None or newest.until < since:
            return "not looked at yet"
        return None if newest.is_ready else newest.why


@dataclass(frozen=True)
class Weight:
    """What a program and all that it started held at a time."""

    at: float
    bytes: int
    pid: int  # another one: it was started again


@dataclass
class Vitals:
    """Everything that was seen."""

    stack: Stack
    looks: dict[str, Looks] = field(default_factory=dict)
    weights: dict[str, list[Weight]] = field(default_factory=dict)
    _strays: dict[str, int] = field(default_factory=dict)  # command line → looks in a row

    def __post_init__(self) -> None:
        """Begin with nothing seen."""
        self.looks = {service: Looks() for service in self.stack.services}

    async def run(self) -> None:
        """Look until cancelled."""
        async with httpx.AsyncClient(timeout=ANSWERS_WITHIN_S, trust_env=False) as client, asyncio.TaskGroup() as tasks:
            for service in self.looks:
                tasks.create_task(self._look_at(service, client))
            tasks.create_task(self._weigh())

    def missing(self, since: float = 0.0) -> list[str]:
        """Return which services are not ready, and why, as of looks begun after a time; none that never was."""
        awaited = {service: looks for service, looks in self.looks.items() if looks.ready_after(0.0) is not None}
        return [f"{service}: {why}" for service, looks in awaited.items() if (why := looks.problem(since))]

    def lasting_strays(self) -> Iterator[str]:
        """Yield processes that nobody looks after, and not only for a moment."""
        return (command for command, looks in self._strays.items() if looks >= STRAY_FOR)

    def stretches(self) -> Iterator[Stretch]:
        """Yield all that was seen of all services."""
        return (stretch for looks in self.looks.values() for stretch in looks.stretches)

    async def _look_at(self, service: str, client: httpx.AsyncClient) -> None:
        url = f"{self.stack.url(service)}/readyz"
        while True:
            begun = time.time()
            self.looks[service].add(begun, await _problem(client, url))
            await asyncio.sleep(LOOK_EVERY_S)

    async def _weigh(self) -> None:
        while True:
            await asyncio.to_thread(self._weigh_once)
            found = await asyncio.to_thread(strays, self.stack)
            self._strays = {command: self._strays.get(command, 0) + 1 for command in found}
            await asyncio.sleep(WEIGH_EVERY_S)

    def _weigh_once(self) -> None:
        for program, tree in trees_of(self.stack).items():
            held = sum(memory_of(process.pid).get("Pss", 0) for process in tree)
            self.weights.setdefault(program, []).append(Weight(time.time(), held, tree[0].pid))


async def _problem(client: httpx.AsyncClient, url: str) -> str | None:
    """Return why a service is not ready; None when it is."""
    try:
        answer = await client.get(url)
        said = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        return f"no answer ({type(error).__name__})"
    if answer.status_code == httpx.codes.OK:
        return None
    waiting = said.get("waiting", {}) if isinstance(said, dict) else {}
    return f"waits for {', '.join(sorted(waiting))}"
