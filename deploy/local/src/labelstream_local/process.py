"""Child processes that can always be found again: each carries a mark in its environment."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

import psutil

MARK = "LABELSTREAM_STACK"


class StartFailed(Exception):
    """A process did not come up; the message says what it wrote last and what to do."""


@dataclass(frozen=True)
class Command:
    """How to start a process, for us or for a process supervisor."""

    name: str
    argv: tuple[str, ...]
    directory: Path
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Child:
    """A process started by us, its output going to a log file."""

    command: Command
    mark: str
    log: Path
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process in a session of its own."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603  the command is ours
                self.command.argv,
                cwd=self.command.directory,
                env=environment_of(self.command, self.mark),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id. Raises StartFailed when it was never started."""
        if self._process is None:
            raise StartFailed(f"{self.command.name} was not started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self, signal_number: int = signal.SIGTERM, within_s: float = 20.0) -> None:
        """Send a signal, wait, and kill what is left after `within_s` seconds."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal_number)
            try:
                self._process.wait(within_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()


def environment_of(command: Command, mark: str) -> dict[str, str]:
    """Return the whole environment of a process: what the system needs, the command's own, and our mark."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR") if name in os.environ}
    return {**kept, **command.environment, MARK: mark}


def marked_processes(mark: str) -> list[psutil.Process]:
    """Find every process that carries `mark` in its environment, whoever its parent is now."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):  # it ended, or it belongs to somebody else
            continue
    return found


def stop_marked(mark: str, within_s: float = 15.0) -> int:
    """Stop every process that carries `mark`: SIGTERM first, SIGKILL for what is left; return how many there were."""
    processes = [process for process in marked_processes(mark) if process.pid != os.getpid()]
    _signal(processes, psutil.Process.terminate)
    _, left = psutil.wait_procs(processes, timeout=within_s)
    while left:
        _signal(left, psutil.Process.kill)
        psutil.wait_procs(left, timeout=5)
        left = [process for process in marked_processes(mark) if process.pid != os.getpid()]
    return len(processes)


def _signal(processes: list[psutil.Process], send: Callable[[psutil.Process], None]) -> None:
    for process in processes:
        try:
            send(process)
        except psutil.NoSuchProcess:
            continue


def wait_until(ready: Callable[[], bool], alive: Callable[[], bool], within_s: float, every_s: float = 0.1) -> bool:
    """Ask `ready` again and again while `alive`; return whether it said yes within `within_s` seconds."""
    deadline = monotonic() + within_s
    while monotonic() < deadline:
        if ready():
            return True
        if not alive():
            return False
        sleep(every_s)
    return False


def last_lines(log: Path, count: int = 20) -> str:
    """Return the last lines of a log file."""
    if not log.exists():
        return "(nothing was written)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
