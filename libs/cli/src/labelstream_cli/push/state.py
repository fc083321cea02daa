"""What pushes have behind them, so that one that was interrupted goes on where it stopped.

A file of JSON lines for each source, in a directory for each stream; a line is written when the broker has confirmed
what it names, so a push may be killed at any time. What was confirmed but not noted is sent once more under the same
message id, and receipted as duplicated.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from labelstream.errors import Misconfigured
from labelstream.values import digest_of, short_id
from labelstream_cli.importers import Imported

Did = Literal["sent", "deleted"]
_SHORT = 16  # hexadecimal digits


def state_root() -> Path:
    """Return where this user's programs keep what they need to go on."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "labelstream" / "push"


def stamp_of(image: Imported, fields: Mapping[str, Any]) -> str:
    """Return what changes when an image's file or the `fields` of its message do. Raises OSError."""
    file = image.image_path.stat()
    return digest_of([file.st_size, file.st_mtime_ns, image.frame, dict(fields)])[:_SHORT]


@dataclass
class PushState:
    """What of one source the broker has confirmed, by annotation: the stamp of what was sent."""

    path: Path | None = None  # None remembers nothing
    run: str = field(default_factory=lambda: secrets.token_hex(8))  # the same until everything is sent
    _done: dict[Did, dict[str, str]] = field(default_factory=lambda: {"sent": {}, "deleted": {}})

    @classmethod
    def open(cls, directory: Path, source: Path, *, restart: bool = False) -> Self:
        """Open the file of a source; a torn last line, as a kill leaves it, counts for nothing."""
        path = directory / f"{digest_of(str(source.resolve()))[:_SHORT]}.jsonl"
        with _writing(directory):
            directory.mkdir(parents=True, exist_ok=True)
            if restart:
                path.unlink(missing_ok=True)
            lines = _whole_lines(path)
        state = cls(path)
        for line in lines:
            state._take(json.loads(line))
        if not lines:
            state._write({"source": str(source.resolve()), "run": state.run})
        return state

    def knows(self, did: Did, name: str, stamp: str) -> bool:
        """Say whether this very thing was confirmed before."""
        return self._done[did].get(name) == stamp

    def message_id(self, did: Did, *parts: str) -> str:
        """Return the id of a message: the same when an interrupted push sends it again."""
        return f"push-{short_id(self.run, did, *parts)}"

    def note(self, did: Did, stamps: Iterable[tuple[str, str]]) -> None:
        """Remember what was confirmed."""
        new = dict(stamps)
        self._done[did].update(new)
        if new:
            self._write({did: new})

    def forget(self, names: Iterable[str]) -> None:
        """Let annotations that were refused be sent again by the next push."""
        self.note("sent", ((name, "") for name in names))

    def finished(self) -> None:
        """Everything is sent: what is sent again from now on is a new message, even where it says the same."""
        self.run = secrets.token_hex(8)
        self._write({"run": self.run})

    def _take(self, line: dict[str, Any]) -> None:
        self.run = line.get("run", self.run)
        for did, done in self._done.items():
            done.update(line.get(did, {}))

    def _write(self, line: dict[str, Any]) -> None:
        if self.path is None:
            return
        with _writing(self.path), self.path.open("ab") as file:
            file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")


def _whole_lines(path: Path) -> list[bytes]:
    """Return a file's lines; cut off a last one that was torn."""
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        os.truncate(path, len(whole))
    return whole.splitlines()


@dataclass(frozen=True)
class StreamNotes:
    """The notes on one stream. When the stream was made anew, they speak of another one and are dropped."""

    directory: Path

    @classmethod
    def of(cls, root: Path, *stream: str | int) -> Self:
        """Find the notes on the stream that `stream` names: host, port, vhost and name."""
        return cls(root / digest_of(list(stream))[:_SHORT])

    def check(self, last_id: int) -> bool:
        """Drop the notes if the stream has forgotten what we wrote, by our last publishing id; say whether it had."""
        position = self.directory / "last-id"
        with _writing(self.directory):
            forgotten = position.exists() and last_id < int(position.read_text())
            if forgotten:
                shutil.rmtree(self.directory)
        return forgotten

    def reached(self, last_id: int) -> None:
        """Remember how far we have written the stream."""
        with _writing(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            temporary = self.directory / "last-id.new"
            temporary.write_text(str(last_id))
            temporary.replace(self.directory / "last-id")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Raise Misconfigured when notes can't be written."""
    try:
        yield
    except OSError as error:
        raise Misconfigured(
            f"what was sent can't be noted in {path}: {error.strerror}; XDG_STATE_HOME names another directory"
        ) from error
