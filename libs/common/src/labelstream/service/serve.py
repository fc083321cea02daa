"""Runs a service: settings, logs, signals and exit codes.

0  asked to stop (SIGTERM, SIGINT)
1  a fault of ours: the supervisor restarts
2  misconfigured: the message says what to set
3  another live writer holds our publisher name
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from labelstream.errors import AnotherWriter, Misconfigured
from labelstream.service.health import Health
from labelstream.service.logs import configure_logs
from labelstream.service.metrics import introduce_program, register_health
from labelstream.service.settings import ServiceSettings, read_settings
from labelstream.service.tracing import tracing

S = TypeVar("S", bound=ServiceSettings)
LoopFactory = Callable[[], asyncio.AbstractEventLoop]

STOPPED, FAULT, MISCONFIGURED, ANOTHER_WRITER = 0, 1, 2, 3


def serve(
    name: str, kind: type[S], main: Callable[[S, Health], Awaitable[None]], loops: LoopFactory | None = None
) -> int:
    """Run `main(settings, health)` until it is told to stop; return the exit code.

    `main` runs for as long as the service lives, and is cancelled by SIGTERM or SIGINT. `loops`: makes the event loop.
    """
    try:
        settings = read_settings(kind)
    except Misconfigured as error:
        print(f"{name}: {error}", file=sys.stderr)  # noqa: T201  # logs are not configured yet, a person reads this
        return MISCONFIGURED
    configure_logs(name, settings.log_level)
    introduce_program(name)
    try:
        with tracing(settings.tracing, name):
            return run_service(lambda health: main(settings, health), loops)
    except Misconfigured as error:  # of the tracing: what the service finds, it has told already
        structlog.get_logger().error("service.misconfigured", reason=str(error))
        return MISCONFIGURED


def run_service(main: Callable[[Health], Awaitable[None]], loops: LoopFactory | None = None) -> int:
    """Run `main(health)` until it is told to stop; return the exit code. Logs are configured."""
    health = Health()
    register_health(health)
    with asyncio.Runner(loop_factory=loops) as runner:
        return runner.run(_run(main(health)))


async def _run(work: Awaitable[None]) -> int:
    log = structlog.get_logger()
    task = asyncio.ensure_future(work)
    asked = False

    def stop(which: str) -> None:
        nonlocal asked
        asked = True
        log.info("service.stopping", signal=which)
        task.cancel()

    loop = asyncio.get_running_loop()
    for which in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(which, stop, which.name)
    log.info("service.started")
    try:
        await task
    except asyncio.CancelledError:
        log.info("service.stopped")
        return STOPPED if asked else FAULT
    except BaseException as error:  # noqa: BLE001  # this is the one place where a fault becomes an exit code
        return _exit_code(_cause(error), log)
    log.error("service.ended", reason="a service runs until it is told to stop")
    return FAULT


def _cause(error: BaseException) -> BaseException:
    """Return what a task group was ended by."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _exit_code(error: BaseException, log: structlog.typing.FilteringBoundLogger) -> int:
    if isinstance(error, Misconfigured):
        log.error("service.misconfigured", reason=str(error))
        return MISCONFIGURED
    if isinstance(error, AnotherWriter):
        log.error("service.another_writer", reason=str(error))
        return ANOTHER_WRITER
    log.error("service.failed", exc_info=error)
    return FAULT
