"""The trainer as processes of its own, on a real broker and a real store."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from labelstream_local.ports import choose
from labelstream_local.process import Child, Command
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer

LEASE_S = 10.0


@dataclass
class Program:
    """One process of the trainer, which can be killed and started again; its disk stays."""

    name: str
    folder: Path
    rabbit: RabbitServer
    weed: WeedServer
    role: tuple[str, ...] = ()
    told: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=lambda: choose(1)[0])
    starts: tuple[str, ...] = (sys.executable,)  # Python, and what it is started by
    scratch_dir: Path | None = None  # when it does not lie in the state
    _child: Child | None = None

    def start(self) -> None:
        """Start the process."""
        broker, store = self.rabbit.settings, self.weed.settings
        told = {
            "BROKER__STREAM_PORT": str(broker.stream_port),
            "BROKER__AMQP_PORT": str(broker.amqp_port),
            "BROKER__USERNAME": broker.username,
            "BROKER__PASSWORD": broker.password.get_secret_value(),
            "STORE__ENDPOINT_URL": store.endpoint_url,
            "STORE__ACCESS_KEY": store.access_key,
            "STORE__SECRET_KEY": store.secret_key.get_secret_value(),
            "TRAINER__RECIPE": "demo",
            "TRAINER__MIN_NEW": "0",
            "TRAINER__WORKER": self.name,
            "TRAINER__LEASE_S": str(LEASE_S),
            "TRAINER__POLL_S": "0.1",
            "TRAINER__CHECKPOINT_EVERY_S": "0",
            "SCRATCH_DIR": str(self.scratch),
            "STATE_DIR": str(self.folder / f"{self.name}-state"),
            "HTTP_PORT": str(self.port),
            **{f"TRAINER__{name}": value for name, value in self.told.items()},
        }
        variables = {f"LABELSTREAM_{name}": value for name, value in told.items()}
        command = Command(self.name, (*self.starts, "-m", "trainer", *self.role), self.folder, variables)
        self._child = Child(command, str(self.folder), self.folder / f"{self.name}.log")
        self._child.start()

    @property
    def process(self) -> psutil.Process:
        """The process."""
        assert self._child is not None
        return psutil.Process(self._child.pid)

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._child is not None and self._child.running

    def kill(self) -> None:
        """Kill the process with signal 9, and wait until it and its engine are gone."""
        self._end(psutil.Process.kill)

    def stop(self) -> None:
        """Ask the process to stop, and wait until it has; it is awake then."""
        if self.running:
            self.process.send_signal(signal.SIGCONT)
            self._end(psutil.Process.terminate)

    def sleep(self) -> None:
        """Let the process sleep as a machine does that is suspended, with all that it started."""
        for process in [self.process, *self.process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def wake(self) -> None:
        """Wake it up again."""
        for process in [*self.process.children(recursive=True), self.process]:
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def _end(self, how: Callable[[psutil.Process], None]) -> None:
        process = self.process
        engines = process.children(recursive=True)
        how(process)
        process.wait(60)
        psutil.wait_procs(engines, 60)

    @property
    def scratch(self) -> Path:
        """Where it lays out datasets and works."""
        return self.scratch_dir or self.folder / f"{self.name}-state" / "scratch"

    @property
    def log(self) -> list[dict[str, Any]]:
        """What the process said."""
        path = self.folder / f"{self.name}.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{")]

    def said(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of its log about one kind of event."""
        return [line for line in self.log if line.get("event") == event]

    def report(self) -> dict[str, Any]:
        """Return what it answers about its health."""
        report: dict[str, Any] = httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=10).json()
        return report
