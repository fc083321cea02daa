"""The smaller parts: the story, what was seen of services, disks and clocks."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from chaos.clocks import LOCK, MEMORY, Clocks, sweep
from chaos.diary import Diary, Done
from chaos.disks import Limited
from chaos.processes import resume, suspend
from chaos.schedule import Fault
from chaos.story import SHARES, Story
from chaos.vitals import Looks

from labelstream.streams.message import Message
from labelstream_local.process import Child, Command, wait_until


def told(seed: int, count: int = 150) -> list[tuple[str, Message]]:
    story = Story(seed)
    return [story.next() for _ in range(count)]


def test_the_same_seed_tells_the_same_story() -> None:
    assert told(1, 30) == told(1, 30)
    assert told(1, 30) != told(2, 30)


def test_a_story_has_everything_in_it_and_only_repeats_share_an_id() -> None:
    story = told(3)
    kinds = Counter(what for what, _ in story)
    assert set(kinds) == set(SHARES)
    ids = Counter(message.message_id for _, message in story)
    assert sum(times - 1 for times in ids.values()) == kinds["again"]
    bodies = {message.message_id: message.body for _, message in story}
    assert all(bodies[message.message_id] == message.body for _, message in story)


def test_a_service_is_ready_after_a_moment_once_it_was_seen_so_after_it() -> None:
    looks = Looks()
    assert looks.ready_after(0.0) is None
    for at, why in [(1.0, None), (2.0, None), (3.0, "no answer"), (5.0, "waits for broker"), (6.0, None), (7.0, None)]:
        looks.add(at, why)
    assert looks.ready_after(0.0) == 1.0
    assert looks.ready_after(1.5) == 1.5
    assert looks.ready_after(2.5) == 6.0
    assert looks.ready_after(6.5) == 6.5
    assert looks.ready_after(7.5) is None
    assert looks.problem() is None
    assert looks.problem(since=8.0) == "not looked at yet"


def test_inference_is_down_from_a_kill_or_a_pause_until_it_is_seen_ready() -> None:
    looks, diary = Looks(), Diary(lambda _: None, begun=0.0)
    for at, why in [
        (1.0, "waits for model"),
        (4.0, None),
        (9.5, None),
        (11.0, "no answer"),
        (14.0, None),
        (31.0, None),
    ]:
        looks.add(at, why)
    diary.done = [
        Done(Fault("kill", "inference", 0.0), 1, 10.0, 10.1, 10.1, 10.1),
        Done(Fault("kill", "trainer", 0.0), 2, 12.0, 12.1, 12.1, 12.1),
        Done(Fault("cut", "inference", 5.0, server="seaweedfs"), 3, 15.0, 15.0, 20.0, 20.0),
        Done(Fault("pause", "inference", 5.0), 4, 25.0, 25.1, 30.0, 30.0),
    ]
    assert diary.down("inference", looks) == [(0.0, 4.0), (10.0, 14.0), (25.0, 30.0)]


def test_inference_with_a_wrong_clock_is_down_while_it_is_started_again_and_not_between() -> None:
    looks, diary = Looks(), Diary(lambda _: None, begun=0.0)
    for at, why in [(1.0, None), (11.0, "no answer"), (14.0, None), (29.0, None), (32.0, "no answer"), (36.0, None)]:
        looks.add(at, why)
    fault = Fault("clock", "inference", 20.0, shift_s=3600)
    diary.done = [Done(fault, 1, begun=10.0, hit=12.0, healing=30.0, healed=33.0)]
    assert diary.down("inference", looks) == [(0.0, 1.0), (10.0, 14.0), (30.0, 36.0)]


def test_a_service_that_never_comes_back_is_down_for_ever() -> None:
    looks, diary = Looks(), Diary(lambda _: None, begun=0.0)
    looks.add(1.0, None)
    diary.done = [Done(Fault("kill", "inference", 0.0), 1, 2.0, 2.0, 2.0, 2.0)]
    assert diary.down("inference", looks)[-1] == (2.0, float("inf"))


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[psutil.Process]:
    """A process that appends to a file again and again, as far as it may."""
    code = (
        "import time\n"
        "while True:\n"
        "    try:\n"
        "        with open('file', 'ab', buffering=0) as file: file.write(b'x' * 100)\n"
        "    except OSError: pass\n"
        "    time.sleep(0.01)\n"
    )
    command = Command("writer", (sys.executable, "-c", "import sys; exec(sys.argv[1])", code), tmp_path)
    child = Child(command, str(tmp_path), tmp_path / "log")
    child.start()
    assert wait_until((tmp_path / "file").exists, lambda: True, 30, 0.01)
    yield psutil.Process(child.pid)
    child.stop()


class Still:
    """Says whether a file had the same size so many times in a row."""

    def __init__(self, file: Path, times: int = 20) -> None:
        self._file, self._times = file, times
        self._sizes: list[int] = []

    def __call__(self) -> bool:
        self._sizes = [*self._sizes, self._file.stat().st_size][-self._times :]
        return len(self._sizes) == self._times and len(set(self._sizes)) == 1


def grows(file: Path) -> Callable[[], bool]:
    size = file.stat().st_size
    return lambda: file.stat().st_size > size


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the files of another process")
def test_files_of_a_process_stop_growing_and_grow_again(writer: psutil.Process, tmp_path: Path) -> None:
    disk = Limited(tmp_path, lambda: [writer])
    disk.fill()
    assert wait_until(Still(tmp_path / "file"), lambda: True, 30, 0.05)
    disk.free()
    assert wait_until(grows(tmp_path / "file"), lambda: True, 30, 0.05)


def test_a_paused_process_stands_until_it_is_resumed(writer: psutil.Process, tmp_path: Path) -> None:
    suspend([writer])
    assert wait_until(lambda: writer.status() == psutil.STATUS_STOPPED, lambda: True, 30, 0.01)
    assert wait_until(Still(tmp_path / "file"), lambda: True, 30, 0.05)
    resume([writer])
    assert wait_until(grows(tmp_path / "file"), lambda: True, 30, 0.05)


def test_pausing_what_is_gone_does_nothing(tmp_path: Path) -> None:
    child = Child(Command("short", (sys.executable, "-c", ""), tmp_path), str(tmp_path), tmp_path / "log")
    child.start()
    process = psutil.Process(child.pid)
    child.stop()
    suspend([process])
    resume([process])


def test_a_clock_is_right_until_it_is_shifted(tmp_path: Path) -> None:
    clocks = Clocks(Path("libfaketime.so"), {"trainer": tmp_path / "trainer"})
    clocks.set("trainer", -3600)
    assert (tmp_path / "trainer").read_text() == "-3600\n"
    clocks.set("trainer", 0)
    assert (tmp_path / "trainer").read_text() == "+0\n"
    assert clocks.told("trainer")["FAKETIME_TIMESTAMP_FILE"] == str(tmp_path / "trainer")
    assert clocks.told("augmenter") == {}


def test_what_libfaketime_left_of_dead_processes_is_swept_away(tmp_path: Path) -> None:
    child = Child(Command("short", (sys.executable, "-c", ""), tmp_path), str(tmp_path), tmp_path / "log")
    child.start()
    child.stop()
    mine = psutil.Process().pid
    for pid in (child.pid, mine):
        (tmp_path / f"{MEMORY}{pid}").touch()
        (tmp_path / f"{LOCK}{pid}").touch()
    (tmp_path / f"{MEMORY}other").touch()
    sweep(tmp_path)
    left = {file.name for file in tmp_path.iterdir()}
    assert left == {"log", f"{MEMORY}{mine}", f"{LOCK}{mine}", f"{MEMORY}other"}
