"""Folders that belong to one process at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labelstream.errors import Misconfigured


@contextmanager
def owned(folder: Path, variable: str) -> Iterator[None]:
    """Have a worker's folder to ourselves; `variable` is the setting that names it.

    Raises Misconfigured when another worker works there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel frees it when we die
        except OSError as error:
            raise Misconfigured(
                f"another worker uses the folder {folder}: give each worker its own {variable}"
            ) from error
        yield
