"""Where an export is written: a folder or a zip, whole or not at all, and never over something else."""

from __future__ import annotations

import fcntl
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from labelstream.errors import Misconfigured
from labelstream_datasets.layout.disk import require_place, writing

_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say: bytes must not depend on the clock
_PLAIN_FILE = 0o100644 << 16
_OTHERS = (".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar")
_HINT = "Make room, or name a target on another disk"


class Place(Protocol):
    """Takes the files of an export, by path."""

    def write(self, path: str, content: str) -> None:
        """Write a text."""
        ...

    def copy(self, path: str, source: Path) -> None:
        """Copy a file."""
        ...


@contextmanager
def opened(target: Path) -> Iterator[Place]:
    """Give a place that becomes `target` when the block ends without an error.

    Raises Misconfigured when the target is there already or can't be written, Rejected when the disk is full.
    """
    require_target(target)
    with writing(target, _HINT), beside(target, "writing") as folder:
        made = folder / target.name
        if target.suffix.lower() == ".zip":
            with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
                yield ZipPlace(archive)
        else:
            made.mkdir()
            yield FolderPlace(made)
        require_target(target)
        made.rename(target)


def require_target(target: Path) -> None:
    """Check that an export may be written to `target`. Raises Misconfigured."""
    suffix = target.suffix.lower()
    if suffix in _OTHERS:
        raise Misconfigured(f"{target}: an export is a folder or a .zip, not a {suffix}")
    empty = target.is_dir() and suffix != ".zip" and not any(target.iterdir())
    if os.path.lexists(target) and not empty:
        raise Misconfigured(f"{target} exists already: name another target, or remove it first")
    require_place(target)


@contextmanager
def beside(target: Path, purpose: str) -> Iterator[Path]:
    """Give an empty folder beside `target` that goes afterwards, and with it what a killed run left there.

    Raises Misconfigured while another run uses it.
    """
    whole = target.absolute()
    folder = whole.with_name(f".{whole.name}.labelstream-{purpose}")
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, target)
        for left in folder.iterdir():
            _remove(left)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)


def _lock(handle: int, target: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Misconfigured(f"another run is writing {target}: wait for it, or name another target") from error


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


class FolderPlace:
    """A folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, path: str, content: str) -> None:
        """Write a text."""
        self._made(path).write_text(content, encoding="utf-8", newline="")

    def copy(self, path: str, source: Path) -> None:
        """Copy a file; its time does not matter."""
        shutil.copyfile(source, self._made(path))

    def _made(self, path: str) -> Path:
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


class ZipPlace:
    """A zip that compresses nothing: photos do not shrink."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def write(self, path: str, content: str) -> None:
        """Write a text."""
        self._archive.writestr(_entry(path), content.encode())

    def copy(self, path: str, source: Path) -> None:
        """Copy a file."""
        entry = _entry(path)
        entry.file_size = source.stat().st_size
        with source.open("rb") as file, self._archive.open(entry, "w") as into:
            shutil.copyfileobj(file, into, 1 << 20)


def _entry(path: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path, _TIME)
    entry.create_system, entry.external_attr = 3, _PLAIN_FILE  # as on Unix, whatever made it
    return entry
