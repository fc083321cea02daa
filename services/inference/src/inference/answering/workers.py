"""Threads that do the work of requests, with a queue that has an end."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from labelstream.errors import Unavailable

T = TypeVar("T")


class Busy(Unavailable):
    """All threads work and the queue is full."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("a free worker", "the queue is full")
        self.retry_after_s = retry_after_s


class Workers:
    """As many images in work at once as there are threads; each run is single-threaded."""

    def __init__(self, threads: int, queue_size: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="inference")
        self._threads = threads
        self._most = threads + queue_size
        self._taken = 0
        self._mean_s = 0.05
        self._lock = threading.Lock()

    async def run(self, work: Callable[[bool], T], *, deadline: float | None = None, patient: bool = False) -> T:  # noqa: ARG002
        """Do `work` in a thread when one is free; it is told whether nothing else is in work then.

        Raises Busy at once when too many wait already.
        """
        with self._lock:
            if self._taken >= self._most:
                raise Busy(max(1, math.ceil(self._taken * self._mean_s / self._threads)))
            self._taken += 1
            alone = self._taken == 1
        future = self._pool.submit(self._timed, partial(work, alone))
        future.add_done_callback(self._ended)  # also when the client went away before its turn
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Finish what has begun, drop what waits."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _timed(self, work: Callable[[], T]) -> T:
        begun = time.perf_counter()
        try:
            return work()
        finally:
            took = time.perf_counter() - begun
            with self._lock:
                self._mean_s += 0.1 * (took - self._mean_s)

    def _ended(self, _: Future[T]) -> None:
        with self._lock:
            self._taken -= 1
