"""The HTTP side of every service: /healthz, /readyz and /metrics, served in the service's own loop."""

from __future__ import annotations

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


async def serve_http(app: ASGIApp, host: str, port: int) -> None:
    """Serve `app` until cancelled; requests in flight are answered first (for at most five seconds)."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
        proxy_headers=False,  # uvicorn would believe whatever a caller on this machine says of where they are
    )
    await _Server(config).serve()
    raise RuntimeError(f"the HTTP server on {host}:{port} ended; is the port taken?")
