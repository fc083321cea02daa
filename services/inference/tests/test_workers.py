"""The queue has an end, and what waits in it is not lost."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref

import pytest

from inference.answering.workers import Busy, ClientLeft, Mean, TooLate, TooShort, Workers


async def test_one_request_too_many_is_told_when_to_come_again() -> None:
    workers, go = Workers(threads=1, queue_size=1), threading.Event()
    try:
        first = asyncio.create_task(workers.run(lambda _: go.wait()))
        second = asyncio.create_task(workers.run(lambda _: "second"))
        await asyncio.sleep(0)
        with pytest.raises(Busy) as busy:
            await workers.run(lambda _: "third")
        assert busy.value.retry_after_s >= 1
        go.set()
        assert await first
        assert await second == "second"
        assert await workers.run(lambda _: "fourth") == "fourth"
    finally:
        go.set()
        workers.close()


async def test_who_goes_away_while_waiting_leaves_the_place_to_others() -> None:
    workers, go = Workers(threads=1, queue_size=1), threading.Event()
    try:
        first = asyncio.create_task(workers.run(lambda _: go.wait()))
        gone = asyncio.create_task(workers.run(lambda _: "gone"))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait([gone])
        next_one = asyncio.create_task(workers.run(lambda _: "next"))
        go.set()
        assert await next_one == "next"
        await first
    finally:
        go.set()
        workers.close()


async def test_an_error_reaches_who_asked() -> None:
    workers = Workers(threads=1, queue_size=0)
    try:
        with pytest.raises(ZeroDivisionError):
            await workers.run(lambda _: 1 // 0)
        assert await workers.run(lambda _: 1) == 1
    finally:
        workers.close()


class Held:
    """Workers of one thread that is at work until it is let go."""

    def __init__(self, queue_size: int = 9) -> None:
        self.workers = Workers(threads=1, queue_size=queue_size)
        self._go = threading.Event()
        self.done: list[str] = []

    async def __aenter__(self) -> Held:
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def hold(alone: bool) -> bool:
            loop.call_soon_threadsafe(begun.set)
            self._go.wait()
            return alone

        self.first = asyncio.create_task(self.workers.run(hold))
        await begun.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.go()
        self.workers.close()
        await self.first

    def go(self) -> None:
        self._go.set()

    def ask(self, name: str, **how) -> asyncio.Task[None]:
        return asyncio.create_task(self.workers.run(lambda _: self.done.append(name), **how))


async def test_work_is_alone_when_nothing_else_is_in_work_or_waits() -> None:
    async with Held() as held:
        second = asyncio.create_task(held.workers.run(lambda alone: alone))
        third = asyncio.create_task(held.workers.run(lambda alone: alone))
        await asyncio.sleep(0)
        held.go()
        assert [await held.first, await second, await third] == [True, False, True]


async def test_patient_work_waits_for_interactive_work_but_gets_every_fourth_turn() -> None:
    async with Held() as held:
        asked = [held.ask(f"p{n}", patient=True) for n in range(3)] + [held.ask(f"i{n}") for n in range(7)]
        await asyncio.sleep(0)
        held.go()
        await asyncio.gather(*asked)
        assert held.done == ["i0", "i1", "p0", "i2", "i3", "i4", "p1", "i5", "i6", "p2"]


async def test_patient_work_takes_no_place_from_interactive_work() -> None:
    async with Held(queue_size=1) as held:
        patient = [held.ask("p", patient=True) for _ in range(20)]
        await asyncio.sleep(0)
        last = held.ask("i")
        await asyncio.sleep(0)
        held.go()
        await asyncio.gather(last, *patient)
        assert held.done[0] == "i"
        assert len(held.done) == 21


async def test_work_whose_deadline_has_passed_is_not_done() -> None:
    async with Held() as held:
        late = held.ask("late", deadline=time.monotonic() + 2, patient=True)
        in_time = held.ask("in time", deadline=time.monotonic() + 60, patient=True)
        await asyncio.sleep(2.1)  # the deadline itself
        held.go()
        with pytest.raises(TooLate) as passed:
            await late
        assert passed.value.rule == "deadline.passed"
        await in_time
        assert held.done == ["in time"]


async def test_work_that_would_wait_for_too_long_is_refused_at_once() -> None:
    async with Held() as held:
        with pytest.raises(TooShort) as refused:
            await held.workers.run(lambda _: None, deadline=time.monotonic() + 0.001)
        assert refused.value.rule == "deadline.too_short"
        assert refused.value.retry_after_s >= 1


def mean_of(*values: float) -> float:
    mean = Mean(0.05)
    for value in values:
        mean.add(value)
    return mean.mean


def test_the_mean_takes_the_first_for_true_and_one_outlier_for_little() -> None:
    assert mean_of() == 0.05
    assert mean_of(1.0) == 1.0
    assert mean_of(1.0, 2.0, 3.0) == pytest.approx(2.0)
    assert mean_of(*[0.1] * 200, 3.0) < 0.16
    assert mean_of(*[0.1] * 200, *[0.5] * 200) == pytest.approx(0.5, rel=0.05)


async def test_a_client_that_has_left_frees_its_place() -> None:
    async with Held(queue_size=1) as held:
        gone = asyncio.Event()
        left = held.ask("left", left=gone.wait)
        await asyncio.sleep(0)
        gone.set()
        with pytest.raises(ClientLeft):
            await left
        follower = held.ask("next")
        await asyncio.sleep(0)
        held.go()
        await follower
        assert held.done == ["next"]


async def test_closing_finishes_what_has_begun_and_refuses_what_waits() -> None:
    held = Held()
    await held.__aenter__()
    waits = held.ask("waits")
    await asyncio.sleep(0)
    closing = asyncio.create_task(asyncio.to_thread(held.workers.close))
    with pytest.raises(Busy):
        await waits
    held.go()
    await closing
    assert await held.first
    with pytest.raises(Busy):
        await held.workers.run(lambda _: None)


async def test_an_idle_worker_keeps_nothing_of_what_it_did() -> None:
    class Image:
        pass

    workers, image = Workers(threads=1, queue_size=0), Image()
    kept = weakref.ref(image)
    try:
        await workers.run(lambda _, image=image: image.__class__)
        del image
        async with asyncio.timeout(10):
            while kept() is not None:  # noqa: ASYNC110  # nothing tells that its thread is back
                await asyncio.sleep(0)
    finally:
        workers.close()


async def test_what_failed_is_let_go_without_the_collector() -> None:
    class Image:
        """Something large."""

    kept: list[weakref.ref[Image]] = []

    def fail(_: bool) -> None:
        image = Image()
        kept.append(weakref.ref(image))
        raise ValueError("damaged")

    workers = Workers(threads=1, queue_size=0)
    gc.disable()
    try:
        body = Image()
        kept.append(weakref.ref(body))
        with pytest.raises(ValueError, match="damaged"):
            await workers.run(lambda _, body=body: fail(body))
        del body
        await workers.run(lambda _: None)  # whose turn comes after all that
        assert [each() for each in kept] == [None, None]
    finally:
        gc.enable()
        workers.close()
