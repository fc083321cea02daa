"""Starts an engine as a subprocess, follows what it reports, and ends it when asked. Imports no torch."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelstream.values import Value
from labelstream_yolo.engine import DISK_FULL, DONE, FAILURE, LOG, NO_ROOM, PARENT, RESULT, lack_of_room

GRACE_S = 20.0  # an engine that was asked to end is killed after this
POLL_S = 0.1
TAIL_BYTES = 4000
_SECRET = re.compile(r"^(LABELSTREAM|AWS|MLFLOW)_|SECRET|TOKEN|PASSWORD|CREDENTIAL|_KEY$")  # names of variables

OnLine = Callable[[bytes], Awaitable[None]]


class EngineFailedError(Exception):
    """The engine ended without a result."""

    def __init__(self, rule: str, reason: str, log_tail: str) -> None:
        """Say which `rule` and `reason` the engine gave, and the last of its log."""
        super().__init__(f"{rule}: {reason}")
        self.rule = rule
        self.reason = reason
        self.log_tail = log_tail


class EngineCancelledError(Exception):
    """The engine was ended because somebody asked for it."""


@dataclass(frozen=True)
class Engine:
    """A subprocess's module, its work and the folder that it works in."""

    module: str
    spec: Value
    out_dir: Path
    report: Path | None = None  # a file that the engine appends lines to
    environment: Mapping[str, str] | None = None  # all that the engine gets; None: ours, less our settings

    async def run(self, on_line: OnLine | None = None, cancelled: asyncio.Event | None = None) -> dict[str, Any]:
        """Run the engine and return its result; `on_line` gets each new line of the report, in order.

        Setting `cancelled`, cancelling this task or an error in `on_line` ends the subprocess. Raises
        EngineFailedError and EngineCancelledError.
        """
        seen = self.report.stat().st_size if self.report and self.report.exists() else 0
        async with self._started() as process:
            while process.returncode is None and not (cancelled and cancelled.is_set()):
                seen = await self._pass_on(seen, on_line)
                await _wait(process, cancelled)
            if process.returncode is None:
                raise EngineCancelledError(f"{self.module} was asked to end")
            await self._pass_on(seen, on_line)
            return self._result(process.returncode)

    @asynccontextmanager
    async def _started(self) -> AsyncIterator[asyncio.subprocess.Process]:
        spec = self._prepared()
        with (self.out_dir / LOG).open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", self.module, str(spec),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                env=self._environment(), start_new_session=True,
            )  # fmt: skip
        try:
            yield process
        finally:
            await asyncio.shield(_end(process))

    def _prepared(self) -> Path:
        """Write the spec; leave nothing that could be taken for this run's."""
        self.out_dir.mkdir(parents=True, exist_ok=True)
        for stale in (RESULT, FAILURE):
            (self.out_dir / stale).unlink(missing_ok=True)
        spec = self.out_dir / "spec.json"
        try:
            spec.write_text(self.spec.model_dump_json())
        except OSError as error:
            full = lack_of_room(error, self.out_dir)
            if full is None:
                raise
            raise EngineFailedError(DISK_FULL, full, _tail(self.out_dir / LOG)) from error
        return spec

    async def _pass_on(self, seen: int, on_line: OnLine | None) -> int:
        if self.report is None or on_line is None or not self.report.exists():
            return seen
        with self.report.open("rb") as report:
            report.seek(seen)
            fresh = report.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]  # a line may be half written
        for line in whole.splitlines():
            await on_line(line)
        return seen + len(whole)

    def _environment(self) -> dict[str, str]:
        """The engine gets no settings of ours, and nothing that is called like a secret: foreign code runs there."""
        given = os.environ if self.environment is None else self.environment
        kept = {name: value for name, value in given.items() if not _SECRET.search(name)}
        return kept | {PARENT: str(os.getpid()), "PYTHONUNBUFFERED": "1"}

    def _result(self, code: int) -> dict[str, Any]:
        if code == DONE:
            result: dict[str, Any] = json.loads((self.out_dir / RESULT).read_bytes())
            return result
        tail = _tail(self.out_dir / LOG)
        failure = self.out_dir / FAILURE
        if code == NO_ROOM:
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.out_dir))
            raise EngineFailedError(DISK_FULL, str(lack_of_room(full, self.out_dir)), tail)
        if not failure.exists():
            raise EngineFailedError("engine-died", f"{self.module} {_cause(code)}", tail)
        said = json.loads(failure.read_bytes())
        raise EngineFailedError(said["rule"], said["reason"], tail)


async def _wait(process: asyncio.subprocess.Process, cancelled: asyncio.Event | None) -> None:
    """Wait a moment, less when the process ends or `cancelled` is set."""
    waits = [asyncio.ensure_future(process.wait())]
    if cancelled is not None:
        waits.append(asyncio.ensure_future(cancelled.wait()))
    try:
        await asyncio.wait(waits, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiting in waits:
            waiting.cancel()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask the engine to end; kill it and whatever it started when it does not."""
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(GRACE_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
    try:
        os.killpg(process.pid, signal.SIGKILL)  # loader processes that it left behind
    except ProcessLookupError:
        return


def _cause(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"


def _tail(log: Path) -> str:
    text = log.read_bytes()[-TAIL_BYTES:].decode(errors="replace") if log.exists() else ""
    return "\n".join(text.splitlines()[-30:])
