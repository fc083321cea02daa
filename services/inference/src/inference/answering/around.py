"""What every request meets on its way in and out: an id, the log, the metrics, safe headers, and faults of ours."""

from __future__ import annotations

import re
import secrets
import time
from functools import lru_cache
from typing import Any

import structlog
from prometheus_client import Counter, Histogram
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference.answering.problems import CLIENT_LEFT, problem_of, respond
from inference.metrics import REQUEST_SECONDS, REQUESTS

REQUEST_ID = "X-Request-ID"
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})  # asked every few seconds: not worth a line
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SANE = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,100}")
_HEADERS = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
}  # a route's own ones win

_log = structlog.get_logger()


class Around:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and tell of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        passage = _Passage(scope, receive, send)
        try:
            await self._app(scope, passage.receive, passage.send)
        finally:
            passage.ended()


class _Passage:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._begun = time.perf_counter()
        self._status = CLIENT_LEFT
        self._bytes_in = self._bytes_out = 0
        self._id = _id_of(scope)
        scope.setdefault("state", {})["request_id"] = self._id.decode()
        structlog.contextvars.bind_contextvars(request_id=self._id.decode())  # of this request's own task

    async def receive(self) -> Message:
        """Pass on what comes."""
        message = await self._receive()
        self._bytes_in += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        """Pass on what goes out."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = message["headers"] = list(message.get("headers", ()))
            told = {name for name, _ in headers}
            headers += [each for each in _HEADERS.items() if each[0] not in told]
            headers.append((b"x-request-id", self._id))
        else:
            self._bytes_out += len(message.get("body", b""))
        await self._send(message)

    def ended(self) -> None:
        """Count and log the request."""
        spent = time.perf_counter() - self._begun
        route = _pattern(self._scope)
        method = self._scope["method"] if self._scope["method"] in _METHODS else "other"
        counter, seconds = _metrics(route, method, self._status)
        counter.inc()
        seconds.observe(spent)
        if route not in QUIET:
            told: dict[str, Any] = {"key_id": key} if (key := self._scope["state"].get("key_id")) else {}
            _log.info(
                "request.answered",
                method=method,
                route=route,
                status=self._status,
                ms=round(spent * 1000, 1),
                bytes_in=self._bytes_in,
                bytes_out=self._bytes_out,
                **told,
            )


class Faults:
    """The innermost layer but the routes: a fault of ours is logged once, and told as a problem."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # noqa: BLE001  # the service goes on: others have requests in flight
            _log.exception("request.failed")
            if not begun:  # else the server cuts the connection, which tells the client
                await respond(Request(scope), problem_of(error))(scope, receive, send)


def _id_of(scope: Scope) -> bytes:
    """Return the id that the client gave, when it is short and plain, or a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value if _SANE.fullmatch(value) else secrets.token_hex(8).encode()
    return secrets.token_hex(8).encode()


def _pattern(scope: Scope) -> str:
    """Return the pattern of the address that was asked; plain routes have no other pattern than their address."""
    route = scope.get("route")
    if route is not None:
        return str(getattr(route, "path", "other"))
    return str(scope["path"]) if "endpoint" in scope else "other"


@lru_cache(maxsize=2000)
def _metrics(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(route, method, str(status)), REQUEST_SECONDS.labels(route)
