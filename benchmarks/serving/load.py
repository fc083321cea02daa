"""Load on a server: so many connections, each of which asks again as soon as it was answered.

python -m benchmarks.serving.load --url URL --images FOLDER --concurrency 8 --seconds 20

It speaks HTTP/1.1 over raw sockets, keeps connections open and sends bytes that were put together before, so that it
takes little of the processor that it shares with the server. A program of its own; one line of JSON at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.serving.connection import Connection, Reply

BOUNDARY = "labelstream-bench"
Check = Callable[[Reply], str | None]  # says what is wrong with a reply


@dataclass(frozen=True)
class Aim:
    """Where requests go."""

    host: str
    port: int
    path: str
    headers: tuple[tuple[str, str], ...] = (("content-type", "image/jpeg"),)

    @classmethod
    def of(cls, url: str) -> Aim:
        """Read a URL."""
        parts = urlsplit(url)
        return cls(
            parts.hostname or "127.0.0.1", parts.port or 80, parts.path + (f"?{parts.query}" if parts.query else "")
        )

    def with_form(self) -> Aim:
        """Send bodies that `in_form` made."""
        return replace(self, headers=(("content-type", f"multipart/form-data; boundary={BOUNDARY}"),))

    def request(self, body: bytes, method: str = "POST") -> bytes:
        """Return a whole request."""
        headers = (("host", f"{self.host}:{self.port}"), ("content-length", str(len(body))), *self.headers)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return f"{method} {self.path} HTTP/1.1\r\n{head}\r\n".encode() + body


@dataclass
class Ran:
    """What a load saw after its warm-up."""

    seconds: float
    finished: list[tuple[float, float, int]] = field(default_factory=list)  # when, since it began; latency_s; status
    wrong: Counter[str] = field(default_factory=Counter)  # of all requests, the warm-up's too
    cpu_s: float = 0.0  # of this process

    @property
    def latencies_ms(self) -> list[float]:
        """Return the latency of each request that counts."""
        return [round(latency * 1000, 3) for _, latency, _ in self.finished]

    @property
    def summary(self) -> Summary:
        """Return the figures."""
        latencies = sorted(latency for _, latency, _ in self.finished)
        return Summary(
            requests=len(latencies),
            errors=self.wrong.total(),
            first_error=next(iter(self.wrong), ""),
            seconds=self.seconds,
            per_second=len(latencies) / self.seconds,
            p50_ms=percentile(latencies, 0.5) * 1000,
            p99_ms=percentile(latencies, 0.99) * 1000,
            most_ms=percentile(latencies, 1.0) * 1000,
            cpu_share=self.cpu_s / self.seconds,
        )


@dataclass(frozen=True)
class Summary:
    """What a load saw, in figures."""

    requests: int
    errors: int
    first_error: str
    seconds: float
    per_second: float
    p50_ms: float
    p99_ms: float
    most_ms: float
    cpu_share: float  # of one core, taken by the load itself


def in_form(field_name: str, image: bytes) -> bytes:
    """Return an image as the only file of a form."""
    head = f'Content-Disposition: form-data; name="{field_name}"; filename="image.jpg"\r\nContent-Type: image/jpeg'
    return f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + image + f"\r\n--{BOUNDARY}--\r\n".encode()


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the least value that at least `share` of the values do not exceed; nan without values."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def finds_something(reply: Reply) -> str | None:
    """Say what is wrong with a reply that should hold detections."""
    if reply.status != 200:
        return f"status {reply.status}: {reply.body[:200].decode(errors='replace')}"
    try:
        found = json.loads(reply.body)["detections"]
    except (ValueError, KeyError, TypeError) as error:
        return f"no answer with detections ({type(error).__name__}): {reply.body[:200].decode(errors='replace')}"
    return None if found else "an answer without a detection"


async def closed_loop(
    aim: Aim,
    bodies: Sequence[bytes],
    concurrency: int,
    seconds: float,
    warm_up_s: float,
    check: Check = finds_something,
) -> Ran:
    """Ask about `bodies` in turn; requests that are answered between the warm-up's end and the end count."""
    requests = [aim.request(body) for body in bodies]
    turns = itertools.cycle(requests)
    began = time.perf_counter() + warm_up_s
    ran = Ran(seconds)
    asking = [asyncio.create_task(_ask(aim, turns, began, ran, check)) for _ in range(concurrency)]
    await asyncio.sleep(warm_up_s)
    cpu = time.process_time()
    await asyncio.gather(*asking)
    ran.cpu_s = time.process_time() - cpu
    return ran


async def _ask(aim: Aim, turns: Iterator[bytes], began: float, ran: Ran, check: Check) -> None:
    connection = Connection(aim.host, aim.port)
    try:
        while time.perf_counter() - began < ran.seconds:
            asked = time.perf_counter()
            try:
                reply = await connection.ask(next(turns))
            except OSError as error:
                ran.wrong[f"{type(error).__name__}: {error}"] += 1
                await asyncio.sleep(0.05)  # a server that is gone is not asked a thousand times a second
                continue
            answered = time.perf_counter()
            if wrong := check(reply):
                ran.wrong[wrong] += 1
            elif 0 <= answered - began < ran.seconds:
                ran.finished.append((answered - began, answered - asked, reply.status))
    finally:
        connection.close()


def main() -> None:
    """Put load on a server and print what was seen."""
    parser = argparse.ArgumentParser("python -m benchmarks.serving.load", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--images", type=Path, required=True, help="a folder of JPEGs, which are sent as bodies")
    parser.add_argument("--form", metavar="FIELD", help="send each image as this file of a form")
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--warm-up", type=float, default=2)
    told = parser.parse_args()
    bodies = [path.read_bytes() for path in sorted(told.images.glob("*.jpg"))]
    if not bodies:
        sys.exit(f"{told.images} holds no *.jpg")
    aim = Aim.of(told.url)
    if told.form:
        aim, bodies = aim.with_form(), [in_form(told.form, body) for body in bodies]
    ran = asyncio.run(closed_loop(aim, bodies, told.concurrency, told.seconds, told.warm_up))
    print(json.dumps(asdict(ran.summary) | {"latencies_ms": ran.latencies_ms}))


if __name__ == "__main__":
    main()
