"""A service that misbehaves as it is told, on a port of its own."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

Behaviour = Callable[[Request, bytes], Response]


def found(name: str = "car", **more: Any) -> dict[str, Any]:
    """What a service says of an image with one thing in it."""
    corners = {"x1": 10.0, "y1": 20.0, "x2": 30.0, "y2": 60.0}
    normalized = {"x1": 0.1, "y1": 0.2, "x2": 0.3, "y2": 0.6}
    return {
        "model": "m1",
        "project": "default",
        "promotion": 3,
        "class_schema": {"name": "traffic", "version": 1, "digest": "d" * 64},
        "dataset": "e" * 64,
        "artifact": "onnx-fp32",
        "image": {"width": 100, "height": 100},
        "detections": [{"class": 0, "name": name, "confidence": 0.9, "box": corners, "normalized": normalized}],
        "timings_ms": {"wait": 0.1, "forward": 5.0},
        "a field of tomorrow": 1,
        **more,
    }


def refusal(status: int, rule: str, **headers: str) -> Response:
    """Problem details."""
    body = {"type": f"urn:{rule}", "title": "No", "status": status, "detail": f"because of {rule}", "rule": rule,
            "hint": "Do something."}  # fmt: skip
    return JSONResponse(body, status, {"x-request-id": "r-1", **{k.replace("_", "-"): v for k, v in headers.items()}})


def lines(*said: Any, cut: bytes = b"") -> Response:
    """A streamed answer, in pieces that do not end where lines do."""
    data = b"".join(json.dumps(one).encode() + b"\n" for one in said) + cut

    async def pieces() -> Any:
        for at in range(0, len(data), 7):
            yield data[at : at + 7]
            await asyncio.sleep(0)

    return StreamingResponse(pieces(), media_type="application/x-ndjson")


class Torn(Response):
    """An answer whose connection breaks in the middle, behind `body`."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002  # ASGI's words
        headers = [(b"content-length", b"100000"), (b"content-type", b"application/x-ndjson")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})  # too short: uvicorn breaks the connection


@dataclass
class Double:
    """What the service is to do, one behaviour a request, the last one for ever; and what it was asked."""

    url: str = ""
    behaviours: deque[Behaviour] = field(default_factory=deque)
    asked: list[Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def will(self, *behaviours: Behaviour | Response) -> None:
        """Behave so from now on."""
        self.behaviours = deque(b if not isinstance(b, Response) else _always(b) for b in behaviours)

    async def answer(self, request: Request) -> Response:
        """Answer as told."""
        body = await request.body()
        self.asked.append(request)
        self.bodies.append(body)
        behaviour = self.behaviours.popleft() if len(self.behaviours) > 1 else self.behaviours[0]
        return await asyncio.to_thread(behaviour, request, body)


def _always(response: Response) -> Behaviour:
    return lambda *_: response


@contextmanager
def running(app: Any) -> Iterator[str]:
    """Serve an application on a free port; yield its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, lifespan="off", timeout_keep_alive=75, timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
