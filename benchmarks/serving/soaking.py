"""Requests of many kinds, the bad ones among them, and what each is to be answered with."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.serving.cells import cells
from benchmarks.serving.connection import Connection, Reply
from benchmarks.serving.load import BOUNDARY, in_form

AT_ONCE = 12
SEED = 7
FORM = ("content-type", f"multipart/form-data; boundary={BOUNDARY}")


@dataclass(frozen=True)
class Kind:
    """A kind of request, how often it comes, and what is wrong with a reply (None: it is as it should be)."""

    name: str
    weight: int
    request: bytes
    wrong: Callable[[Reply], str | None]
    leaves_after: int | None = None  # the client sends so many bytes and goes away


@dataclass
class Soaked:
    """What came of the requests so far."""

    asked: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """Requests that are over."""
        return self.asked.total()


async def soak(port: int, requests: int, soaked: Soaked) -> None:
    """Send so many requests, some at once; the same seed gives the same ones."""
    every, left = kinds(port), iter(range(requests))
    chance = random.Random(SEED)
    weights = [kind.weight for kind in every]

    async def ask() -> None:
        connection = Connection("127.0.0.1", port)
        for _ in left:
            (kind,) = chance.choices(every, weights)
            soaked.asked[kind.name] += 1
            try:
                wrong = await _one(connection, kind)
            except OSError as error:
                wrong = f"{type(error).__name__}: {error}"
            if wrong:
                soaked.wrong[f"{kind.name}: {wrong}"] += 1
        connection.close()

    await asyncio.gather(*(ask() for _ in range(AT_ONCE)))


async def _one(connection: Connection, kind: Kind) -> str | None:
    if kind.leaves_after is not None:
        await connection.send_and_leave(kind.request[: kind.leaves_after])
        return None
    reply = await connection.ask(kind.request)
    try:
        return kind.wrong(reply)
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # an answer of another form
        return f"{type(error).__name__} in {_said(reply)}"


def kinds(port: int) -> list[Kind]:
    """Return every kind of request."""
    small, large = cells(), cells(".jpg", times=10)
    cut = large[: len(large) // 2]

    def post(path: str, body: bytes, *headers: tuple[str, str]) -> bytes:
        told = headers or (("content-type", "application/octet-stream"),)
        return _request("POST", path, body, port, told)

    several = b"".join(
        in_form(f"file{n}", image)[: -len(_END)] + b"\r\n" for n, image in enumerate((small, b"?", large))
    )
    plain = post("/v1/predict", small)
    return [
        Kind("bytes", 40, plain, _two_boxes),
        Kind("large", 10, post("/v1/predict", large), _two_boxes),
        Kind("form", 15, post("/v1/predict", in_form("image", small), FORM), _two_boxes),
        Kind("picture back", 8, post("/v1/predict", small, ("accept", "image/jpeg")), _a_jpeg),
        Kind("several", 4, post("/v1/predict/batch", several + _END, FORM), _three_lines),
        Kind("no image", 4, post("/v1/predict", b"not an image"), _status(415, 422)),
        Kind("empty", 2, post("/v1/predict", b""), _status(400, 422)),
        Kind("cut image", 4, post("/v1/predict", cut), _status(200, 422)),  # decoders may make something of it
        Kind("wrong wish", 2, post("/v1/predict?confidence=7", small), _status(400, 422)),
        Kind("wrong path", 1, post("/v1/nothing", small), _status(404)),
        Kind("models", 3, _request("GET", "/v1/models", b"", port), _status(200)),
        Kind("metrics", 1, _request("GET", "/metrics", b"", port), _status(200)),
        Kind("leaves at once", 3, plain, _status(), leaves_after=len(plain)),
        Kind("leaves half way", 3, plain, _status(), leaves_after=len(plain) - 40),
    ]


_END = f"--{BOUNDARY}--\r\n".encode()


def _request(method: str, path: str, body: bytes, port: int, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    every = (("host", f"127.0.0.1:{port}"), ("content-length", str(len(body))), *headers)
    head = "".join(f"{name}: {value}\r\n" for name, value in every)
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def _two_boxes(reply: Reply) -> str | None:
    if reply.status != 200:
        return _said(reply)
    found = json.loads(reply.body)["detections"]
    return None if [each["name"] for each in found] in (["red", "blue"], ["blue", "red"]) else f"found {found}"


def _a_jpeg(reply: Reply) -> str | None:
    return None if reply.status == 200 and reply.body.startswith(b"\xff\xd8") else _said(reply)


def _three_lines(reply: Reply) -> str | None:
    if reply.status == 503 and b"\r\nretry-after:" in reply.headers:
        return None  # so many of these at once are not answered, and it is said when to come again
    if reply.status != 200:
        return _said(reply)
    lines = [json.loads(line) for line in reply.body.splitlines()]
    summary = lines[-1].get("summary", {})
    return None if (summary.get("answered"), summary.get("failed")) == (2, 1) else f"the lines end with {lines[-1]}"


def _status(*allowed: int) -> Callable[[Reply], str | None]:
    return lambda reply: None if reply.status in allowed else _said(reply)


def _said(reply: Reply) -> str:
    return f"status {reply.status}: {reply.body[:120].decode(errors='replace')}"
