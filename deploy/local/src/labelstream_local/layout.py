"""Where everything of an embedded stack lies: one directory, which can be removed whole."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from labelstream_local.secret_files import private_directory

DEFAULT = Path(".labelstream")
_LONGEST_SOCKET_PATH = 90  # the system allows about 100 bytes, and supervisord appends a number while it starts


@dataclass(frozen=True)
class Layout:
    """The directory of a stack, and the names in it."""

    root: Path

    @classmethod
    def at(cls, directory: Path) -> Layout:
        """Return the layout of a directory, wherever the caller stands."""
        return cls(directory.resolve())

    def create(self) -> None:
        """Create the directories; only their owner may enter."""
        for directory in (self.root, self.secrets, self.logs, self.root / "data", self.root / "state"):
            private_directory(directory)

    @property
    def mark(self) -> str:
        """What every process of this stack carries in its environment."""
        return str(self.root)

    @property
    def secrets(self) -> Path:
        """Generated secrets, one a file."""
        return self.root / "secrets"

    @property
    def logs(self) -> Path:
        """What the processes print, rotated."""
        return self.root / "logs"

    def log(self, program: str) -> Path:
        """What one process prints."""
        return self.logs / f"{program}.log"

    def data(self, server: str) -> Path:
        """The files of RabbitMQ or SeaweedFS."""
        return self.root / "data" / server

    def state(self, service: str) -> Path:
        """The views and working files of a service; can be thrown away."""
        return self.root / "state" / service

    @property
    def record(self) -> Path:
        """Ports, process ids and versions; no secret."""
        return self.root / "stack.json"

    @property
    def lock(self) -> Path:
        """Held while a stack is started or stopped."""
        return self.root / "lock"

    @property
    def supervisor_config(self) -> Path:
        """What supervisord reads."""
        return self.root / "supervisord.conf"

    @property
    def supervisor_socket(self) -> Path:
        """Where supervisord listens; in the temporary directory when our own path is too long for a socket."""
        socket = self.root / "supervisord.sock"
        if len(str(socket).encode()) <= _LONGEST_SOCKET_PATH:
            return socket
        short = hashlib.sha256(str(self.root).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"labelstream-{short}.sock"
