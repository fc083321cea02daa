"""Who is measured when: every round has everybody in turn at each concurrency, each time in another order."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

from benchmarks.serving.contestants import Contestant
from benchmarks.serving.server import Start, Watched, served

STARTING_S = 6.0  # of a server, for the estimate


@dataclass(frozen=True)
class Plan:
    """How long and how often."""

    repeats: int = 5
    seconds: float = 20.0
    warm_up_s: float = 2.0

    def estimate_s(self, contestants: Sequence[Contestant]) -> float:
        """Return about how long the whole run takes."""
        return self.repeats * sum(
            (STARTING_S if isinstance(each.how, Start) else 1.0)
            + len(each.concurrencies) * (self.seconds_of(each) + self.warm_up_s)
            for each in contestants
        )

    def seconds_of(self, contestant: Contestant) -> float:
        """Return how long a load on somebody counts."""
        return self.seconds / 2 if contestant.aside else self.seconds


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
    """Measure everybody `plan.repeats` times.

    In a round all servers are up, and one at a time is loaded: everybody at one concurrency, then everybody at the
    next, so that those who are compared are measured within minutes of each other.
    """
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
                taking_part = [each for each in order if concurrency in each.concurrencies]
                seen = [await _measure(each, servers, concurrency, images, plan, number) for each in taking_part]
                measured += seen
                rates = ", ".join(f"{each.name} {each.per_second:.1f}/s" for each in seen)
                when = f"round {number} of {plan.repeats}, {(monotonic() - began) / 60:4.1f} min"
                told(f"{when}, {concurrency} at once: {rates}; {sum(each.errors for each in seen)} errors")
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


async def _measure(
    contestant: Contestant, servers: Mapping[str, Watched], concurrency: int, images: Path, plan: Plan, number: int
) -> Measured:
    seconds = plan.seconds_of(contestant)
    if not isinstance(contestant.how, Start):
        argv = contestant.how[concurrency].argv(images, seconds, plan.warm_up_s)
        return _of(number, contestant, concurrency, await run_json(argv), None, (0.0, 0.0))
    server = servers[contestant.name]
    async with server.looked_at():
        began, spent = monotonic(), await asyncio.to_thread(server.cpu_s)
        argv = load_argv(server, contestant.how, images, concurrency, replace(plan, seconds=seconds))
        seen = await run_json(argv)
        spent = await asyncio.to_thread(server.cpu_s) - spent
        return _of(number, contestant, concurrency, seen, server, (spent, monotonic() - began))


def load_argv(server: Watched, start: Start, images: Path, concurrency: int, plan: Plan) -> tuple[str, ...]:
    """Return the command that puts load on a server."""
    form = (f"--form={start.form}",) if start.form else ()
    return (
        sys.executable, "-m", "benchmarks.serving.load", f"--url={server.url}", f"--images={images}", *form,
        f"--concurrency={concurrency}", f"--seconds={plan.seconds}", f"--warm-up={plan.warm_up_s}",
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


def _of(
    number: int,
    contestant: Contestant,
    concurrency: int,
    seen: dict[str, Any],
    server: Watched | None,
    spent: tuple[float, float],
) -> Measured:
    cpu_s, seconds = spent
    return Measured(
        round=number,
        name=contestant.name,
        concurrency=concurrency,
        per_second=seen["per_second"],
        p50_ms=seen["p50_ms"],
        p99_ms=seen["p99_ms"],
        requests=seen["requests"],
        errors=seen["errors"],
        first_error=seen.get("first_error", ""),
        pss_bytes=server.pss_bytes if server else 0,
        rss_bytes=server.rss_bytes if server else 0,
        cpu_cores=cpu_s / seconds if seconds else 0.0,
        load_cpu_cores=seen.get("cpu_share", 0.0),
    )


def _first(images: Path) -> bytes:
    return next(iter(sorted(images.glob("*.jpg")))).read_bytes()
