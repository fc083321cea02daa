"""The HTTP side of every service: /healthz, /readyz and /metrics, served in the service's own loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager

import orjson
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from labelstream.errors import Misconfigured
from labelstream.service.connections import Connection, ConnectionLimits, LimitedConfig
from labelstream.service.health import Health


def health_routes(health: Health) -> list[Route]:
    """Return the routes that every service answers: alive, ready (503 with the reasons when not), metrics."""

    async def healthz(_: Request) -> Response:
        return Response(b"ok", media_type="text/plain")

    async def readyz(_: Request) -> Response:
        report = orjson.dumps(health.report(), default=str)
        return Response(report, status_code=200 if health.is_ready else 503, media_type="application/json")

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


def health_app(health: Health) -> Starlette:
    """Return the HTTP application of a service that has no API of its own."""
    return Starlette(routes=health_routes(health))


class _Server(uvicorn.Server):
    """A server that leaves the signals to the service's runner."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def take_port(host: str, port: int) -> socket.socket:
    """Return a socket that listens on `port`, or on any free one when it is 0. Raises Misconfigured.

    Who connects before somebody serves it waits.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        taken = socket.socket(family, socket.SOCK_STREAM)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.listen()
    except (OSError, OverflowError) as error:
        raise Misconfigured(f"{host}:{port} can't be listened on: {error}") from error
    return taken


async def serve_http(
    app: ASGIApp,
    host: str,
    port: int,
    taken: socket.socket | None = None,
    *,
    limits: ConnectionLimits | None = None,
) -> None:
    """Serve `app` until cancelled; requests in flight are answered first (for at most five seconds).

    `taken`: what `take_port` returned, when the caller has to know that the port is its own before it goes on.
    """
    limits = limits or ConnectionLimits()
    config = LimitedConfig(
        app,
        host=host,
        port=port,
        http=Connection,
        ws="none",
        timeout_keep_alive=limits.keep_alive_s,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
        proxy_headers=False,  # uvicorn would believe whatever a caller on this machine says of where they are
    )
    config.limits = limits
    server = _Server(config)
    serving = asyncio.create_task(server.serve(None if taken is None else [taken]), name=f"http on {host}:{port}")
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:  # uvicorn answers nobody any more when it is cancelled itself
        server.should_exit = True
        await serving
        raise
    raise RuntimeError(f"the HTTP server on {host}:{port} ended; is the port taken?")
