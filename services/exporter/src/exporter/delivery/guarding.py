"""What stands before every route: the rate of an address, the size of a body, the time that it may take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.delivery.addresses import Addresses
from exporter.delivery.limiting import Rates
from exporter.delivery.metrics import REQUESTS, SECONDS
from exporter.delivery.problems import Problem, TurnedAway, respond
from exporter.delivery.uploads import FORM_OVERHEAD, too_large
from labelstream.service.settings import Settings

MOST_BYTES = 64 << 10  # of a body that is no upload
OPERATORS = ("/healthz", "/readyz", "/metrics")
UPLOADS = "/resources/"
ADDRESS = "labelstream_address"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Bounds(Settings):
    """How large a body may be and how long it may take."""

    most_upload_bytes: int
    body_timeout_s: float

    def most_bytes(self, path: str) -> int:
        """Return how large the body of a request for a path may be."""
        is_upload = path.startswith(UPLOADS) and not path.startswith(f"{UPLOADS}get/")
        return self.most_upload_bytes + FORM_OVERHEAD if is_upload else MOST_BYTES


@dataclass(frozen=True)
class Guard:
    """Passes a request on when it may come in, and counts what was answered."""

    app: ASGIApp
    addresses: Addresses
    rates: Rates
    bounds: Bounds
    turned_away: Callable[[TurnedAway, str], None]  # with the address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, as ASGI has it."""
        if scope["type"] != "http" or scope["path"] in OPERATORS:
            await self.app(scope, receive, send)
            return
        scope[ADDRESS] = address = self.addresses.of(scope)
        status, begun = 500, time.monotonic()

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            self.rates.request_from(address)
            self._check_announced(scope)
        except Problem as problem:
            if isinstance(problem, TurnedAway):
                self.turned_away(problem, address)
            await respond(problem)(scope, receive, counted)
        else:
            await self.app(scope, self._bounded(scope["path"], receive), counted)
        finally:
            _count(scope, status, time.monotonic() - begun)

    def _check_announced(self, scope: Scope) -> None:
        announced = Headers(scope=scope).get("content-length", "")
        most = self.bounds.most_bytes(scope["path"])
        if announced.isdecimal() and int(announced) > most:
            raise too_large(most)

    def _bounded(self, path: str, receive: Receive) -> Receive:
        most = self.bounds.most_bytes(path)
        until = time.monotonic() + self.bounds.body_timeout_s
        seen, is_whole = 0, False

        async def bounded() -> Message:
            nonlocal seen, is_whole
            if is_whole:  # what is awaited now is the end of the connection
                return await receive()
            try:
                async with asyncio.timeout(max(0.0, until - time.monotonic())):
                    message = await receive()
            except TimeoutError:
                hint = "Send it faster, or less of it."
                timeout_s = self.bounds.body_timeout_s
                raise Problem(408, "too-slow", f"the request was not whole after {timeout_s:g} s", hint) from None
            seen += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if seen > most:
                raise too_large(most)
            return message

        return bounded


def _count(scope: Scope, status: int, seconds: float) -> None:
    route, method = _route(scope), scope["method"] if scope["method"] in _METHODS else "other"
    REQUESTS.labels(route, method, str(status)).inc()
    SECONDS.labels(route).observe(seconds)


def _route(scope: Scope) -> str:
    """Return which route answered, never what it was asked: paths may hold anything."""
    route: BaseRoute | None = scope.get("route")
    return str(getattr(route, "path", "none"))
