"""An MLflow server as a private child process, for those who ask for one: `labelstream up --mlflow`.

It is installed in an environment of its own, since what it is built with is not what the services are built with.
"""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import httpx

from labelstream_local import ports
from labelstream_local.asking import get
from labelstream_local.process import Child, Command, StartFailed, last_lines, stop_marked, wait_until
from labelstream_local.secret_files import private_directory

MLFLOW = "mlflow"


@dataclass
class MlflowServer:
    """One MLflow under `base_dir`: runs in SQLite, artifacts in a folder. They outlive stop() and kill()."""

    base_dir: Path
    port: int = field(default_factory=lambda: ports.choose(1)[0])
    _child: Child | None = None

    @property
    def url(self) -> str:
        """Where it answers, people and programs."""
        return f"http://{ports.HOST}:{self.port}"

    @property
    def log(self) -> Path:
        """What the server prints when it is started alone."""
        return self.base_dir / "mlflow.log"

    def prepare(self) -> Command:
        """Return the command that starts the server. Raises StartFailed when it is not installed."""
        private_directory(self.base_dir)
        argv = (
            str(find_mlflow()),
            "server",
            f"--host={ports.HOST}",
            f"--port={self.port}",
            "--workers=1",
            f"--backend-store-uri=sqlite:///{self.base_dir / 'mlflow.db'}",
            f"--artifacts-destination={self.base_dir / 'artifacts'}",
        )
        environment = {
            "HOME": str(self.base_dir),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # of its own kind, for language models
        }
        return Command(MLFLOW, argv, self.base_dir, environment)

    def start(self) -> None:
        """Start the server and wait until it answers. Raises StartFailed."""
        self._child = child = Child(self.prepare(), str(self.base_dir), self.log)
        child.start()
        if not wait_until(self.ready, lambda: child.running, 120):
            self.stop()
            raise StartFailed(f"MLflow did not come up. The end of {self.log}:\n{last_lines(self.log)}")

    def ready(self) -> bool:
        """Return whether the server answers."""
        try:
            return get(f"{self.url}/health").status_code == HTTPStatus.OK
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        """Stop the server."""
        if self._child is not None:
            self._child.stop()
        stop_marked(str(self.base_dir))

    def kill(self) -> None:
        """Kill the server and what it started at once, as a crash would."""
        if self._child is not None:
            self._child.stop(signal.SIGKILL)
        stop_marked(str(self.base_dir))


def environment() -> Path:
    """Return where the server's environment lies: inside ours, so that it goes with it."""
    return Path(sys.prefix) / MLFLOW


def find_mlflow() -> Path:
    """Return the server's program. Raises StartFailed when it is not installed."""
    program = environment() / "bin" / MLFLOW
    if not program.exists():
        raise StartFailed(
            f"MLflow is not installed in {environment()}: `make mlflow` does it (some 300 MB), or leave out --mlflow"
        )
    return program
