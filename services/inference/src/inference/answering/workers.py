"""Threads that do the work of requests, with a queue that has an end."""

from __future__ import annotations

import asyncio
import math
import queue
import threading
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from labelstream.errors import Unavailable

T = TypeVar("T")

MOST_RETRY_AFTER_S = 60  # one slow client may make the mean much longer than the next one has to wait
PATIENT_TURN = 4  # every so many turns at the latest belong to patient work
_FIRST_GUESS_S = 0.05  # of what a piece of work takes, before one has been measured
_NEWEST_COUNTS = 0.02  # of the mean: one piece that was held up shall not have those behind it refused


class Busy(Unavailable):
    """The work was not done, since too much else waits."""

    rule = "server.busy"

    def __init__(self, reason: str, wait_s: float) -> None:
        super().__init__("a free worker", reason)
        self.retry_after_s = min(max(1, math.ceil(wait_s)), MOST_RETRY_AFTER_S)


class TooShort(Busy):
    """The work would wait for longer than its caller does."""

    rule = "deadline.too_short"


class TooLate(Busy):
    """Nobody waited for the work any more when its turn came."""

    rule = "deadline.passed"


class ClientLeft(Exception):
    """The client went away while its work waited for a worker."""


@dataclass
class Mean:
    """The mean of what was measured lately."""

    mean: float  # a guess until something was measured
    _measured: int = 0

    def add(self, value: float) -> None:
        """Count a value: the first ones alike, then each newest one a fiftieth."""
        self._measured += 1
        self.mean += max(1 / self._measured, _NEWEST_COUNTS) * (value - self.mean)


@dataclass(eq=False, slots=True)
class _Job:
    """Work that waits, and the future of who waits for it."""

    work: Callable[[bool], Any]
    deadline: float
    future: asyncio.Future[Any] | None  # None: it has ended

    def end(self, outcome: Any, error: BaseException | None) -> None:
        """Tell who waits how it ended; in a loop that has ended nobody does."""
        future, self.future = self.future, None  # the traceback of an error leads here: a ring would keep the request
        if future is not None and not (loop := future.get_loop()).is_closed():
            loop.call_soon_threadsafe(_settle, future, outcome, error)


class Workers:
    """As many images in work at once as there are threads; each run is single-threaded.

    Interactive work has a queue of `queue_size` places. Patient work waits behind it, but gets every fourth turn at
    the latest; its queue is as long as those who ask make it.
    """

    def __init__(self, threads: int, queue_size: int) -> None:
        self.threads = threads
        self.places = queue_size  # of those that wait
        self._interactive: deque[_Job] = deque()
        self._patient: deque[_Job] = deque()
        self._in_work = 0
        self._since_patient = 0
        self._takes = Mean(_FIRST_GUESS_S)
        self._closed = False
        self._lock = threading.Lock()
        self._turns: queue.SimpleQueue[bool] = queue.SimpleQueue()  # one for each job that was queued; False: end
        self._threads = [threading.Thread(target=self._serve, name=f"worker-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """How many requests wait in those places."""
        return len(self._interactive)

    async def run(
        self,
        work: Callable[[bool], T],
        *,
        deadline: float | None = None,
        patient: bool = False,
        left: Callable[[], Awaitable[None]] | None = None,
    ) -> T:
        """Do `work` in a thread when one is free; it is told whether nothing else is in work or waits then.

        deadline: when nobody waits for it any more, in seconds of `time.monotonic`.
        patient: wait, however long the queue is; else raise Busy at once when it is full or too slow for the deadline.
        left: returns when the client has gone, and is asked only while the work has to wait. Raises ClientLeft then.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        job = _Job(work, math.inf if deadline is None else deadline, future)
        with self._lock:
            waits = self._take_place(job, patient=patient)
        self._turns.put(True)
        watch = asyncio.ensure_future(_watch(left, future)) if left is not None and waits else None
        try:
            return await future
        except (asyncio.CancelledError, ClientLeft):
            self._give_up(job, patient=patient)
            raise
        finally:
            if watch is not None:
                watch.cancel()
            del future  # the traceback of an error leads here: a ring would keep the request until the collector comes

    def close(self) -> None:
        """Finish what has begun; tell what waits that it will not be done."""
        with self._lock:
            self._closed = True
            dropped = [*self._interactive, *self._patient]
            self._interactive.clear()
            self._patient.clear()
        for job in dropped:
            job.end(None, Busy("the service ends", _FIRST_GUESS_S))
        for _ in self._threads:
            self._turns.put(False)
        for thread in self._threads:
            thread.join()

    def _take_place(self, job: _Job, *, patient: bool) -> bool:
        """Queue a job; say whether it has to wait. Raises Busy."""
        if self._closed:
            raise Busy("the service ends", self._takes.mean)
        taken = self._in_work + len(self._interactive)
        waits = taken + len(self._patient) >= self.threads
        if patient:
            self._patient.append(job)
            return waits
        wait_s = self._wait_s()
        if taken >= self.threads + self.places:
            raise Busy("the queue is full", wait_s)
        if time.monotonic() + wait_s > job.deadline:
            raise TooShort(f"the wait is about {wait_s * 1000:.0f} ms, and the deadline is before that", wait_s)
        self._interactive.append(job)
        return waits

    def _wait_s(self) -> float:
        ahead = self._in_work + len(self._interactive) + 1 - self.threads
        if self._patient:  # takes turns between
            ahead += min(len(self._patient), len(self._interactive) // (PATIENT_TURN - 1) + 1)
        return max(0, ahead) * self._takes.mean / self.threads

    def _give_up(self, job: _Job, *, patient: bool) -> None:
        """Take a job out of the queue when it still waits."""
        with self._lock:
            waiting = self._patient if patient else self._interactive
            if job in waiting:
                waiting.remove(job)

    def _serve(self) -> None:
        while self._turns.get():
            self._turn()  # whose variables end with it: an idle thread keeps no image

    def _turn(self) -> None:
        with self._lock:
            late = self._late()
            job = self._next()
            alone = self._in_work == 0 and not self._interactive and not self._patient
            self._in_work += job is not None
        for each in late:
            each.end(None, TooLate("its deadline passed before its turn came", self._takes.mean))
        if job is not None:
            self._do(job, alone=alone)

    def _late(self) -> list[_Job]:
        """Take what nobody waits for any more out of the queues."""
        now = time.monotonic()
        late = [job for waiting in (self._interactive, self._patient) for job in waiting if job.deadline < now]
        for job in late:
            (self._interactive if job in self._interactive else self._patient).remove(job)
        return late

    def _next(self) -> _Job | None:
        """Return whose turn it is; None when it was given up."""
        if self._patient and (not self._interactive or self._since_patient >= PATIENT_TURN - 1):
            self._since_patient = 0
            return self._patient.popleft()
        self._since_patient += 1
        return self._interactive.popleft() if self._interactive else None

    def _do(self, job: _Job, *, alone: bool) -> None:
        begun = time.perf_counter()
        try:
            outcome = job.work(alone)
        except BaseException as error:  # noqa: BLE001  # it is raised where the work is awaited
            _let_go(error)
            self._done(begun)
            job.end(None, error)
        else:
            self._done(begun)
            job.end(outcome, None)

    def _done(self, begun: float) -> None:
        took = time.perf_counter() - begun
        with self._lock:
            self._in_work -= 1
            self._takes.add(took)


def _let_go(error: BaseException | None) -> None:
    """Empty the frames that an error came through, which hold images; where it came from stays known."""
    seen: set[int] = set()  # an error that several images of a batch share may lead to itself
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _settle(future: asyncio.Future[Any], outcome: Any, error: BaseException | None) -> None:
    if future.done():  # who asked has gone
        return
    if error is None:
        future.set_result(outcome)
    else:
        future.set_exception(error)


async def _watch(left: Callable[[], Awaitable[None]], future: asyncio.Future[Any]) -> None:
    await left()
    _settle(future, None, ClientLeft())
