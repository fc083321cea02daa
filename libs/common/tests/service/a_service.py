"""A tiny service that misbehaves as it is told."""

from __future__ import annotations

import asyncio
import sys

import structlog

from labelstream.errors import AnotherWriter
from labelstream.service.health import Health
from labelstream.service.http import health_app, serve_http
from labelstream.service.serve import serve
from labelstream.service.settings import ServiceSettings


async def waits(settings: ServiceSettings, health: Health) -> None:
    health.waiting("broker", "nobody listens")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve_http(health_app(health), settings.http_host, settings.http_port))
        tasks.create_task(tidies())


async def tidies() -> None:
    try:
        await asyncio.sleep(3600)
    finally:
        structlog.get_logger().info("work.tidied")


async def fails(_settings: ServiceSettings, _health: Health) -> None:
    hidden = "a local secret"
    raise RuntimeError("the handler broke" if hidden else "")


async def is_second(_settings: ServiceSettings, _health: Health) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(gives_up())


async def gives_up() -> None:
    raise AnotherWriter("run one instance only")


if __name__ == "__main__":
    mains = {"waits": waits, "fails": fails, "is-second": is_second}
    sys.exit(serve("a-service", ServiceSettings, mains[sys.argv[1]]))
