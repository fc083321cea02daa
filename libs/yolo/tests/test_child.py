"""Engines as subprocesses; these ones are a few lines each and import no torch."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labelstream.values import Value
from labelstream_yolo.child import Engine, EngineCancelledError, EngineFailedError

ENGINE = """
import errno, os, signal, sys, time
from pathlib import Path
from labelstream.values import Value
from labelstream_yolo.engine import EngineFailure, run_engine

class Spec(Value):
    out_dir: Path
    do: str

def work(spec):
    (spec.out_dir / "pid").write_text(str(os.getpid()))
    report = (spec.out_dir / "report").open("a", buffering=1)
    if spec.do == "report":
        for line in ("one", "two", "three"):
            report.write(line + "\\n")
    if spec.do == "fail":
        print("last words")
        raise EngineFailure("too-small", "2 images, 3 are needed")
    if spec.do == "fill":
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "weights")
        except OSError as error:
            raise RuntimeError("could not save") from error
    if spec.do == "break":
        raise KeyError("left")
    if spec.do == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if spec.do == "environment":
        return sorted(os.environ)
    if spec.do == "wait":
        report.write("waiting\\n")
        while True:
            time.sleep(0.01)
    return {"did": spec.do}

sys.exit(run_engine(Spec, lambda s: s.out_dir, work))
"""


class Spec(Value):
    out_dir: Path
    do: str


@pytest.fixture
def engine(tmp_path, monkeypatch):
    (tmp_path / "an_engine.py").write_text(ENGINE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(do: str) -> Engine:
        out = tmp_path / "out"
        return Engine("an_engine", Spec(out_dir=out, do=do), out, out / "report")

    return make


async def test_an_engine_reports_each_line_once_and_gives_its_result(engine):
    lines = []

    async def on_line(line: bytes) -> None:
        lines.append(line)

    assert await engine("report").run(on_line) == {"did": "report"}
    assert lines == [b"one", b"two", b"three"]


async def test_a_second_run_passes_on_only_its_own_lines(engine):
    lines = []

    async def on_line(line: bytes) -> None:
        lines.append(line)

    await engine("report").run()
    await engine("report").run(on_line)
    assert lines == [b"one", b"two", b"three"]


async def test_a_failure_names_its_rule_and_reason_and_shows_the_log(engine):
    with pytest.raises(EngineFailedError) as failed:
        await engine("fail").run()
    assert (failed.value.rule, failed.value.reason) == ("too-small", "2 images, 3 are needed")
    assert "last words" in failed.value.log_tail


async def test_an_unforeseen_error_is_told_with_its_type(engine):
    with pytest.raises(EngineFailedError, match="engine-error: KeyError: 'left'"):
        await engine("break").run()


async def test_a_full_disk_is_told_with_path_and_numbers_however_deep_it_lies(engine):
    with pytest.raises(
        EngineFailedError, match=r"disk-full: No space left on device: weights; \d+ of \d+ bytes are free"
    ):
        await engine("fill").run()


@pytest.mark.parametrize("file", ["failure.unfinished", "spec.json"])
async def test_a_disk_so_full_that_nothing_can_be_said_there_is_told_all_the_same(engine, tmp_path, file):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / file).symlink_to("/dev/full")
    with pytest.raises(EngineFailedError, match=r"disk-full: No space left on device: .*out.*bytes are free"):
        await engine("fill").run()


async def test_a_killed_engine_is_told_apart_from_a_failed_one(engine):
    with pytest.raises(EngineFailedError, match=r"engine-died: .* was killed by SIGKILL"):
        await engine("die").run()


async def test_an_old_failure_is_not_taken_for_the_new_runs(engine):
    with pytest.raises(EngineFailedError, match="too-small"):
        await engine("fail").run()
    with pytest.raises(EngineFailedError, match="engine-died"):
        await engine("die").run()


async def test_setting_cancelled_ends_the_engine(engine, tmp_path):
    cancelled = asyncio.Event()

    async def on_line(_: bytes) -> None:
        cancelled.set()

    with pytest.raises(EngineCancelledError):
        await engine("wait").run(on_line, cancelled)
    assert _is_gone(tmp_path)


async def test_an_error_of_the_listener_ends_the_engine_and_comes_out(engine, tmp_path):
    async def on_line(_: bytes) -> None:
        raise LookupError("nobody listens")

    with pytest.raises(LookupError):
        await engine("wait").run(on_line)
    assert _is_gone(tmp_path)


async def test_cancelling_the_task_ends_the_engine(engine, tmp_path):
    waiting = asyncio.Event()

    async def on_line(_: bytes) -> None:
        waiting.set()

    running = asyncio.create_task(engine("wait").run(on_line))
    await waiting.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert _is_gone(tmp_path)


async def test_the_engine_gets_none_of_the_services_settings(engine, monkeypatch):
    monkeypatch.setenv("LABELSTREAM_BROKER__PASSWORD", "a secret")
    names = await engine("environment").run()
    assert "LABELSTREAM_BROKER__PASSWORD" not in names
    assert "PATH" in names


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a parent's death is signalled on Linux only")
async def test_an_engine_dies_with_the_service_that_started_it(engine, tmp_path):
    parent = tmp_path / "parent.py"
    parent.write_text(
        "import asyncio\n"
        "from pathlib import Path\n"
        "from labelstream.values import Value\n"
        "from labelstream_yolo.child import Engine\n"
        "class Spec(Value):\n    out_dir: Path\n    do: str\n"
        f"out = Path({str(tmp_path / 'out')!r})\n"
        "asyncio.run(Engine('an_engine', Spec(out_dir=out, do='wait'), out).run())\n"
    )
    service = await asyncio.create_subprocess_exec(sys.executable, str(parent))
    report = tmp_path / "out" / "report"
    await _until(lambda: report.exists() and report.read_text())
    service.kill()
    await service.wait()
    await _until(lambda: _is_gone(tmp_path))


async def _until(happened: Callable[[], object]) -> None:
    while not happened():  # noqa: ASYNC110  # another process's deed; the test's own time limit ends this
        await asyncio.sleep(0.02)


def _is_gone(tmp_path: Path) -> bool:
    stat = Path(f"/proc/{(tmp_path / 'out' / 'pid').read_text()}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
