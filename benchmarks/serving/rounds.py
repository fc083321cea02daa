"""Who is measured when: in a round everybody is loaded a few seconds at a time, in turn, several times over.

A shared machine's rate changes within minutes. Turns that are short lie close together, so what is compared met the
same machine; a round's turns are put together before anything is computed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

from benchmarks.serving.contestants import Contestant
from benchmarks.serving.load import percentile
from benchmarks.serving.server import Start, Watched, served

STARTING_S = 6.0  # of a server, for the estimate
MANY = 8  # at once; when more wait, an answer takes seconds, and so must a turn


@dataclass(frozen=True)
class Plan:
    """How long and how often."""

    repeats: int = 5
    seconds: float = 20.0  # that count of each round, at each concurrency

    def estimate_s(self, contestants: Sequence[Contestant]) -> float:
        """Return about how long the whole run takes."""
        return self.repeats * sum(
            STARTING_S
            + sum(turn.turns * (turn.warm_up_s + turn.seconds) for turn in map(self.turn, each.concurrencies))
            for each in contestants
        )

    def turn(self, concurrency: int) -> Turn:
        """Return how `concurrency` is measured: the more wait, the longer until their waiting is as it stays."""
        turns = 4 if concurrency <= MANY else 2
        return Turn(turns, self.seconds / turns, min(max(1.0, concurrency / 10), self.seconds / turns))


@dataclass(frozen=True)
class Turn:
    """One load on one server: so many times in a round, for so many seconds after a warm-up."""

    turns: int
    seconds: float
    warm_up_s: float


@dataclass
class Seen:
    """What one contestant's turns in a round saw, put together."""

    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    errors: int = 0
    first_error: str = ""
    busy_s: float = 0.0  # of the clock, while it was loaded
    cpu_s: float = 0.0
    load_cpu_s: float = 0.0
    pss_bytes: int = 0
    rss_bytes: int = 0

    def add(self, seen: Mapping[str, Any], seconds: float) -> None:
        """Take in the JSON of a load or a bare loop."""
        self.seconds += seconds
        self.latencies_ms += seen["latencies_ms"]
        self.errors += seen["errors"]
        self.first_error = self.first_error or seen.get("first_error", "")
        self.load_cpu_s += seen.get("cpu_share", 0.0) * seconds

    def measured(self, number: int, name: str, concurrency: int) -> Measured:
        """Return the figures of the round."""
        ordered = sorted(self.latencies_ms)
        return Measured(
            round=number,
            name=name,
            concurrency=concurrency,
            per_second=len(ordered) / self.seconds,
            p50_ms=percentile(ordered, 0.5),
            p99_ms=percentile(ordered, 0.99),
            requests=len(ordered),
            errors=self.errors,
            first_error=self.first_error,
            pss_bytes=self.pss_bytes,
            rss_bytes=self.rss_bytes,
            cpu_cores=self.cpu_s / self.busy_s if self.busy_s else 0.0,
            load_cpu_cores=self.load_cpu_s / self.seconds,
        )


@dataclass(frozen=True)
class Measured:
    """One contestant under one load, once."""

    round: int
    name: str
    concurrency: int
    per_second: float
    p50_ms: float
    p99_ms: float
    requests: int
    errors: int
    first_error: str = ""
    pss_bytes: int = 0  # the most since the server's start that its processes held, shared pages counted once
    rss_bytes: int = 0
    cpu_cores: float = 0.0  # that the server kept busy
    load_cpu_cores: float = 0.0  # that the load took itself

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON-like data."""
        return asdict(self)


async def run_rounds(
    contestants: Sequence[Contestant], images: Path, plan: Plan, folder: Path, told: Callable[[str], None]
) -> list[Measured]:
    """Measure everybody `plan.repeats` times. In a round all servers are up, and one at a time is loaded."""
    began, measured = monotonic(), list[Measured]()
    for number in range(1, plan.repeats + 1):
        order = in_turn(contestants, number)
        async with AsyncExitStack() as running:
            servers = {
                each.name: await running.enter_async_context(_up(each.name, each.how, images, folder))
                for each in order
                if isinstance(each.how, Start)
            }
            for concurrency in sorted({at for each in order for at in each.concurrencies}):
                seen = {each.name: Seen() for each in order if concurrency in each.concurrencies}
                turn = plan.turn(concurrency)
                for again in range(turn.turns):
                    for each in in_turn(order, again):
                        if each.name in seen:
                            await _load(each, servers, concurrency, images, turn, seen[each.name])
                now = [each.measured(number, name, concurrency) for name, each in seen.items()]
                measured += now
                rates = ", ".join(f"{each.name} {each.per_second:.1f}/s" for each in now)
                when = f"round {number} of {plan.repeats}, {(monotonic() - began) / 60:4.1f} min"
                told(f"{when}, {concurrency} at once: {rates}; {sum(each.errors for each in now)} errors")
    return measured


def in_turn(contestants: Sequence[Contestant], number: int) -> list[Contestant]:
    """Return the order of a round: another one begins each time, and every second round runs backwards."""
    first = (number * 3) % len(contestants)
    order = [*contestants[first:], *contestants[:first]]
    return order if number % 2 else order[::-1]


@asynccontextmanager
async def _up(name: str, start: Start, images: Path, folder: Path) -> AsyncIterator[Watched]:
    """Run a server in an empty folder of its own."""
    first = await asyncio.to_thread(_first, images)
    with TemporaryDirectory(dir=folder) as place:
        async with served(name, start, first, Path(place)) as server:
            yield server


async def _load(
    contestant: Contestant, servers: Mapping[str, Watched], concurrency: int, images: Path, turn: Turn, seen: Seen
) -> None:
    if not isinstance(contestant.how, Start):
        argv = contestant.how[concurrency].argv(images, turn.seconds, turn.warm_up_s)
        seen.add(await run_json(argv), turn.seconds)
        return
    server = servers[contestant.name]
    async with server.looked_at():
        began, spent = monotonic(), await asyncio.to_thread(server.cpu_s)
        seen.add(await run_json(load_argv(server, contestant.how, images, concurrency, turn)), turn.seconds)
        seen.cpu_s += await asyncio.to_thread(server.cpu_s) - spent
        seen.busy_s += monotonic() - began
        seen.pss_bytes, seen.rss_bytes = server.pss_bytes, server.rss_bytes


def load_argv(server: Watched, start: Start, images: Path, concurrency: int, turn: Turn) -> tuple[str, ...]:
    """Return the command that puts load on a server."""
    form = (f"--form={start.form}",) if start.form else ()
    return (
        sys.executable, "-m", "benchmarks.serving.load", f"--url={server.url}", f"--images={images}", *form,
        f"--concurrency={concurrency}", f"--seconds={turn.seconds}", f"--warm-up={turn.warm_up_s}",
    )  # fmt: skip


async def run_json(argv: Sequence[str], environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Run a program to its end; return the JSON of its last line."""
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE, env=environment)
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise SystemExit(f"{' '.join(argv)} ended with {process.returncode}")
    seen: dict[str, Any] = json.loads(out.splitlines()[-1])
    return seen


def _first(images: Path) -> bytes:
    return next(iter(sorted(images.glob("*.jpg")))).read_bytes()
