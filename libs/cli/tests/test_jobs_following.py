"""Following a job: its log as it grows, its end, and what an interruption leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from labelstream.events.training import TrainingFailed
from labelstream_cli.jobs.book import live_at
from labelstream_cli.jobs.log_reading import LogPrinter, LogReader, unseen
from labelstream_cli.jobs.logs import follow_log
from labelstream_cli.jobs.waiting import ending, going_on, leaving_it, shown, wait_for_end
from labelstream_cli.running import CommandFailed

from .jobs_world import FIRST, SECOND, World, cancelled, epoch, finished, requested, started

WAIT_S = 0.01  # the doubles answer at once


@pytest.fixture
def world() -> World:
    return World()


class Heard:
    """All that was printed so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._out = self._err = ""

    @property
    def out(self) -> str:
        self._read()
        return self._out

    @property
    def err(self) -> str:
        self._read()
        return self._err

    def _read(self) -> None:
        out, err = self._capsys.readouterr()
        self._out += out
        self._err += err


@pytest.fixture
def heard(capsys: pytest.CaptureFixture[str]) -> Heard:
    return Heard(capsys)


# ---- the log


@pytest.mark.parametrize(
    ("before", "now", "added", "torn"),
    [
        (b"", b"one\n", b"one\n", False),
        (b"one\n", b"one\ntwo\n", b"two\n", False),
        (b"one\n", b"one\n", b"", False),
        (b"one\n", b"eight\nnine\n", b"eight\nnine\n", True),
    ],
    ids=["first", "grown", "same", "lost"],
)
def test_what_was_printed_of_a_log_is_not_printed_again(before: bytes, now: bytes, added: bytes, torn: bool) -> None:
    assert unseen(before, now) == (added, torn)


def test_only_the_end_of_what_was_printed_is_looked_for() -> None:
    before = b"".join(b"line %d\n" % n for n in range(2000))
    now = before[9000:] + b"new\n"
    assert unseen(before, now) == (b"new\n", False)


async def test_a_log_is_read_only_when_it_has_changed(world: World) -> None:
    reader = LogReader(world.blobs, "default", FIRST, 1)
    assert await reader.more() == ""
    assert not reader.found
    await world.log(FIRST, 1, "one\n")
    assert await reader.more() == "one\n"
    assert await reader.more() == ""
    await world.log(FIRST, 1, "one\ntwo\n")
    assert await reader.more() == "two\n"
    await world.log(FIRST, 1, "nine\n")
    assert await reader.more() == "…\nnine\n"
    assert reader.found


@pytest.mark.parametrize(
    ("raw", "printed"),
    [(True, "0 %\r50 %\r100 %\ndone\r\nla\rst"), (False, "100 %\ndone\nst\n")],
    ids=["on a terminal", "elsewhere"],
)
def test_bars_that_are_drawn_anew_are_printed_once_where_nobody_watches(raw: bool, printed: str, heard: Heard) -> None:
    printer = LogPrinter(raw)
    for part in ("0 %\r50", " %\r100 %", "\ndone\r\nla\rst"):
        printer.add(part)
    printer.end()
    assert heard.out == printed


async def test_following_waits_for_a_worker_and_goes_on_through_a_take_over_to_the_end(
    world: World, heard: Heard
) -> None:
    await world.say(requested(FIRST))
    following = asyncio.create_task(follow_log(world.place, "3fa9", WAIT_S))
    await _until(lambda: "waits for a free worker" in heard.err)
    await world.log(FIRST, 1, "begun\n")
    await world.say(started(FIRST))
    await _until(lambda: "begun" in heard.out)
    await world.log(FIRST, 1, "begun\nkilled\n")
    await world.log(FIRST, 2, "goes on\n")
    await world.say(started(FIRST, attempt=2, worker="bob"))
    await _until(lambda: "goes on" in heard.out)
    world.blobs.away = "it is restarted"
    await _until(lambda: "it is restarted; trying again." in heard.err)
    world.blobs.away = None
    await world.log(FIRST, 2, "goes on\nlast words\n")
    await world.say(TrainingFailed(job=FIRST, attempt=2, rule="training.failed", reason="the loss is not a number"))
    await asyncio.wait_for(following, 30)
    assert heard.out == "begun\nkilled\ngoes on\nlast words\n"
    assert "Attempt 2, by bob:" in heard.err
    assert heard.err.endswith("3fa900003fa9 is failed: training.failed: the loss is not a number\n")


# ---- the end


async def test_waiting_returns_the_job_as_it_ended_and_shows_each_epoch(world: World, heard: Heard) -> None:
    await world.say(requested(FIRST))
    async with live_at(world.place) as live:
        with shown(quiet=False) as show:
            waiting = asyncio.create_task(wait_for_end(live, FIRST, show, WAIT_S))
            await _until(lambda: "waits for a free worker" in heard.err)
            await world.say(started(FIRST))
            await _until(lambda: "ada prepares" in heard.err)
            await world.say(epoch(FIRST, 1, 0.4))
            await _until(lambda: "epoch 1 of 3: mAP50 0.400" in heard.err)
            await world.say(finished(FIRST, 0.9))
            state = await asyncio.wait_for(waiting, 30)
    assert ending(state) == "training 3fa900003fa9 is finished after 1 epoch, mAP50 0.900 on test"


async def test_a_quiet_wait_prints_nothing(world: World, heard: Heard) -> None:
    await world.say(requested(FIRST), started(FIRST), epoch(FIRST, 1, 0.4), cancelled(FIRST, reason="enough"))
    async with live_at(world.place) as live:
        with shown(quiet=True) as show:
            show("waits for something", None)
            state = await wait_for_end(live, FIRST, show, WAIT_S)
    assert (heard.out, heard.err) == ("", "")
    assert ending(state).endswith("cancelled after 1 epoch, mAP50 0.400 on validation: enough")


async def test_while_the_broker_is_away_the_wait_says_so(world: World) -> None:
    await world.say(requested(FIRST), started(FIRST))
    place = world.place
    said: list[str] = []
    place.health.waiting("broker", "refused")
    async with live_at(place) as live:
        waiting = asyncio.create_task(wait_for_end(live, FIRST, lambda what, _: said.append(what), WAIT_S))
        await _until(lambda: bool(said))
        await world.say(finished(FIRST))
        await asyncio.wait_for(waiting, 30)
    assert said[0] == "waits for the broker"


async def test_a_job_that_the_stream_does_not_know_is_not_awaited_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labelstream_cli.jobs.waiting._JOB_WITHIN_S", 0)
    await world.say(requested(FIRST))
    async with live_at(world.place) as live:
        with pytest.raises(CommandFailed, match="3fb100003fb1, but its stream does not"):
            await wait_for_end(live, SECOND, lambda *_: None, WAIT_S)


async def test_who_interrupts_a_wait_is_told_that_the_training_goes_on(heard: Heard) -> None:
    async def wait() -> None:
        async with leaving_it(lambda: "The training goes on."):
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert heard.err == "The training goes on.\n"


async def test_a_job_in_a_few_words(world: World) -> None:
    assert going_on(None) == "waits for a free worker"
    await world.say(requested(FIRST), started(FIRST), epoch(FIRST, 1, 0.4, eta_s=0.0))
    async with live_at(world.place) as live:
        assert going_on(live.book.jobs[FIRST]) == "mAP50 0.400, overdue"


async def _until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not reached():  # noqa: ASYNC110  # what is printed tells nobody
            await asyncio.sleep(0.005)
