"""Real child processes: slow to start, so they are shared by few tests."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from labelstream.errors import Rejected
from labelstream.processes import ATTEMPTS, LATE, Crashed, Processes, TookTooLong


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(Path(__file__).parent / "misbehaving")  # child processes inherit the path
    yield import_module("bad_calls")
    del sys.modules["bad_calls"]


async def test_what_a_call_returns_refuses_or_raises_is_what_the_caller_gets(calls: Any) -> None:
    pool = Processes(1, 60, prepare=calls.leave_a_mark)
    try:
        assert await pool.run(calls.double, 4, more=1) == 9
        assert await pool.run(calls.mark) == "yes"
        with pytest.raises(Rejected, match="it is bad") as caught:
            await pool.run(calls.refuse, "call.bad")
        assert (caught.value.rule, caught.value.hint) == ("call.bad", "Send a good one.")
        with pytest.raises(ZeroDivisionError):
            await pool.run(calls.fail)
    finally:
        pool.close()


async def test_a_call_that_dies_or_never_ends_costs_itself_alone(calls: Any) -> None:
    pool = Processes(1, 2)
    try:
        died, late, good = await asyncio.gather(
            pool.run(calls.die), pool.run(calls.never_end), pool.run(calls.double, 1), return_exceptions=True
        )
    finally:
        pool.close()
    assert isinstance(died, Crashed)
    assert died.exitcode == 11
    assert isinstance(late, TookTooLong)
    assert good == 2


async def test_a_call_whose_process_was_killed_innocently_is_made_again(calls: Any, tmp_path: Path) -> None:
    pool = Processes(1, 60)
    try:
        assert await pool.run(calls.die_at_first, ATTEMPTS - 1, tmp_path) == ATTEMPTS - 1
    finally:
        pool.close()


async def test_an_idle_process_that_is_killed_is_replaced_with_its_pool(calls: Any) -> None:
    pool = Processes(1, 60)
    try:
        idle = await pool.run(calls.process_id)
        os.kill(idle, signal.SIGKILL)
        async with asyncio.timeout(60):
            while _there(idle):  # noqa: ASYNC110  # the pool, which buries it, tells nobody
                await asyncio.sleep(0.01)
        assert await asyncio.gather(*(pool.run(calls.double, number) for number in range(10))) == list(range(0, 20, 2))
    finally:
        pool.close()


async def test_a_call_that_was_late_once_is_made_again(calls: Any, tmp_path: Path) -> None:
    pool = Processes(1, 2)  # all of us may have been suspended meanwhile, or somebody set the clock
    try:
        assert await pool.run(calls.hang_at_first, LATE - 1, tmp_path) == LATE - 1
    finally:
        pool.close()


async def test_a_process_is_replaced_after_its_calls(calls: Any) -> None:
    pool = Processes(1, 60, calls_each=2)
    try:
        ids = [await pool.run(calls.process_id) for _ in range(4)]
    finally:
        pool.close()
    assert ids[0] == ids[1] != ids[2] == ids[3]


PARENT = """
import asyncio, multiprocessing, os, signal
from labelstream.processes import Processes

async def main():
    await Processes(2, 60).run(os.getpid)
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    asyncio.run(main())
"""


async def test_processes_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    run = await asyncio.create_subprocess_exec(sys.executable, str(script), stdout=subprocess.PIPE)
    out, _ = await run.communicate()
    pids = [int(pid) for pid in out.split()]
    assert len(pids) >= 2
    async with asyncio.timeout(60):
        while any(_alive(pid) for pid in pids):  # noqa: ASYNC110  # other processes' ends
            await asyncio.sleep(0.05)


def _there(pid: int) -> bool:
    """Whether a process is there, if only for its parent to see how it ended."""
    return Path(f"/proc/{pid}").exists()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
