"""CPU work in child processes: a call that crashes or hangs a C library costs that call, not the service."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from typing import Any, ParamSpec, TypeVar

import structlog
from pebble import ProcessExpired, ProcessPool

from labelstream.errors import Rejected

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS = 3  # a child may also die innocently, of a signal or of too little memory
LATE = 2  # times: once, all of us may have been suspended, or the clock been set, by which the pool measures
_LOOK_EVERY_S = 1.0  # whether the pool is whole

log = structlog.get_logger()


class Crashed(Exception):
    """A call ended its process, at each of ATTEMPTS attempts. `exitcode`: 0 where nobody saw it."""

    def __init__(self, exitcode: int) -> None:
        super().__init__(f"{ATTEMPTS} processes ended, the last one with status {exitcode}")
        self.exitcode = exitcode


class TookTooLong(Exception):
    """A call took longer than is allowed, LATE times, and was ended together with its process each time."""


@dataclass(frozen=True)
class _Refused:
    """A Rejected on its way between processes."""

    rule: str
    reason: str
    hint: str


class Processes:
    """A pool of child processes. They end with their parent, however that ends."""

    def __init__(
        self, count: int, timeout_s: float, *, prepare: Callable[[], None] | None = None, calls_each: int = 0
    ) -> None:
        """Start `count` processes with the first call; one call may take `timeout_s`.

        Each runs `prepare` before its first call, outside of that call's time, and is replaced by a
        fresh one after `calls_each` calls (0: never).
        """
        self._timeout_s = timeout_s
        self._start = partial(
            ProcessPool,
            max_workers=count,
            max_tasks=calls_each,
            initializer=_begin,
            initargs=[prepare],
            context=multiprocessing.get_context("spawn"),  # a fork would copy our threads' locks
        )
        self._pool = self._start()
        self._closed = False

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `work`, a function of a module, returns in a child. Raises its Rejected, Crashed, TookTooLong."""
        exitcode, late = 0, 0
        for _ in range(ATTEMPTS):
            try:
                result: T | _Refused = await self._once(work, args, kwargs)
            except ProcessExpired as error:
                exitcode = error.exitcode
            except BrokenProcessPool:
                self._replace()
            except TimeoutError as error:
                late += 1
                if late == LATE:
                    raise TookTooLong(f"it took longer than {self._timeout_s:g} s, {LATE} times") from error
            else:
                if isinstance(result, _Refused):
                    raise Rejected(result.rule, result.reason, result.hint)
                return result
        raise Crashed(exitcode)

    def close(self) -> None:
        """End the processes; calls that are under way are cancelled."""
        self._closed = True
        _end(self._pool)

    async def _once(self, *call: Any) -> Any:
        """Make a call. Raises what it raised, ProcessExpired, TimeoutError, BrokenProcessPool."""
        pool = self._pool
        try:
            outcome = asyncio.wrap_future(pool.schedule(_guarded, args=call, timeout=self._timeout_s))
        except RuntimeError as error:
            raise BrokenProcessPool(str(error)) from error
        try:
            while not outcome.done():
                await asyncio.wait({outcome}, timeout=_LOOK_EVERY_S)
                if not outcome.done() and not pool.active and not self._closed:
                    raise BrokenProcessPool("it broke before it had heard of the call")
            return outcome.result()
        finally:
            outcome.cancel()

    def _replace(self) -> None:
        """Go on with another pool: pebble's breaks for good when a child ends in which it knows of no call."""
        if self._closed:
            raise RuntimeError("the processes have been ended")
        if not self._pool.active:
            log.warning("processes.replaced")
            broken, self._pool = self._pool, self._start()
            asyncio.get_running_loop().run_in_executor(None, _end, broken)


def _end(pool: ProcessPool) -> None:
    pool.stop()
    pool.join()


def _begin(prepare: Callable[[], None] | None) -> None:
    """Prepare a child, and let it end when its parent does."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def follow() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()
    if prepare is not None:
        prepare()


def _guarded(work: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T | _Refused:
    """Do the work; errors that we know travel as values."""
    try:
        return work(*args, **kwargs)
    except Rejected as error:
        return _Refused(error.rule, error.reason, error.hint)
