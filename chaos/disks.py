"""A disk that can be filled: a small one of its own where we may mount, else a limit on the size of the files."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

SIZE_MIB = 96
PIECE = b"\0" * (1 << 20)
MOUNT_WITHIN_S = 30

Tree = Callable[[], Iterable[psutil.Process]]


class Disk(Protocol):
    """Where a service keeps its state."""

    path: Path
    how: str  # it is filled

    def fill(self) -> None:
        """Leave no room."""
        ...

    def free(self) -> None:
        """Give the room back."""
        ...

    def close(self) -> None:
        """Take it away."""
        ...


@dataclass
class Mounted:
    """A small file system in memory, which a large file fills. Mounting needs root."""

    path: Path
    how: str = "a file system of its own, filled (ENOSPC)"

    @classmethod
    def at(cls, path: Path) -> Mounted | None:
        """Mount it; None where that is not allowed."""
        path.mkdir(parents=True, exist_ok=True)
        options = f"size={SIZE_MIB}m,mode=0700"
        return cls(path) if _ran("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)) else None

    def fill(self) -> None:
        """Write until there is no room."""
        with (self.path / "filler").open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(PIECE)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self) -> None:
        """Remove what fills it."""
        (self.path / "filler").unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it."""
        _ran("umount", "--lazy", str(self.path))


@dataclass
class Limited:
    """A limit on the size of a file that the service's processes may write. Anybody may set it for their own."""

    path: Path
    tree: Tree
    how: str = "its files may not grow (EFBIG)"

    def fill(self) -> None:
        """Let no file grow."""
        self._limit(1)

    def free(self) -> None:
        """Let them grow again; also those of processes that were started meanwhile."""
        self._limit(None)

    def close(self) -> None:
        """Do nothing: the processes are gone."""

    def _limit(self, soft: int | None) -> None:
        for process in self.tree():
            try:
                _, hard = process.rlimit(psutil.RLIMIT_FSIZE)
                process.rlimit(psutil.RLIMIT_FSIZE, (hard if soft is None else soft, hard))
            except psutil.NoSuchProcess:
                continue


def small_disk(path: Path, tree: Tree) -> Disk:
    """Return a disk that can be filled; `tree` are the processes of the service whose disk it is."""
    mounted = Mounted.at(path)
    return Limited(path, tree) if mounted is None else mounted


def _ran(*command: str) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=MOUNT_WITHIN_S)  # noqa: S603  ours
    except OSError:  # there is no such program
        return False
    return done.returncode == 0
