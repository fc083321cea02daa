"""An MLflow server as a private child process, for those who ask for one: `labelstream up --mlflow`.

It is installed in an environment of its own, since what it is built with is not what the services are built with.
"""

from __future__ import annotations

import secrets
import signal
import sys
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import httpx

from labelstream_local import ports
from labelstream_local.asking import get
from labelstream_local.process import Child, Command, StartFailed, last_lines, stop_marked, wait_until
from labelstream_local.secret_files import private_directory, write_private

MLFLOW = "mlflow"
USERNAME = "admin"
# Forms of its pages are protected by a key of each server's own. It is taken from the environment alone, which others
# than the server's user can't see; made at each start, it stands nowhere else.
_WITH_A_KEY = 'export MLFLOW_FLASK_SERVER_SECRET_KEY="$(head -c 24 /dev/urandom | base64)"; exec "$@"'
_CONFIG = """\
; Written by `labelstream up`. The password counts when the database of users is made: once.
[mlflow]
default_permission = NO_PERMISSIONS
database_uri = {database}
admin_username = {username}
admin_password = {password}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
; Checking a password takes a quarter of a second of computing: at each request, unless it is remembered for some time.
auth_cache_ttl_seconds = 300
"""


@dataclass
class MlflowServer:
    """One MLflow under `base_dir`, for those who log in: runs and users in SQLite, artifacts in a folder.

    They outlive stop() and kill().
    """

    base_dir: Path
    port: int = field(default_factory=lambda: ports.choose(1)[0])
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    _child: Child | None = None

    @property
    def url(self) -> str:
        """Where it answers, people and programs."""
        return f"http://{ports.HOST}:{self.port}"

    @property
    def login(self) -> tuple[str, str]:
        """The name and the password of who may do everything there."""
        return USERNAME, self.password

    @property
    def _users(self) -> str:
        return f"sqlite:///{self.base_dir / 'users.db'}"

    @property
    def log(self) -> Path:
        """What the server prints when it is started alone."""
        return self.base_dir / "mlflow.log"

    def prepare(self) -> Command:
        """Return the command that starts the server. Raises StartFailed when it is not installed."""
        private_directory(self.base_dir)
        config = write_private(self.base_dir / "mlflow-auth.ini", auth_config(self.password, self._users))
        argv = (
            *("/bin/sh", "-c", _WITH_A_KEY, MLFLOW),
            str(find_mlflow()),
            "server",
            "--app-name=basic-auth",
            f"--host={ports.HOST}",
            f"--port={self.port}",
            "--workers=1",
            f"--backend-store-uri=sqlite:///{self.base_dir / 'mlflow.db'}",
            f"--artifacts-destination={self.base_dir / 'artifacts'}",
        )
        environment = {
            "HOME": str(self.base_dir),
            "MLFLOW_AUTH_CONFIG_PATH": str(config),
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


def auth_config(password: str, database: str) -> str:
    """Return what MLflow reads about its login; `database`: where its users stand, as SQLAlchemy has it."""
    told = {"database": database, "username": USERNAME, "password": password}
    return _CONFIG.format(**{name: value.replace("%", "%%") for name, value in told.items()})


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
