"""What child processes are given to run."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from labelstream.errors import Rejected


def double(number: int, *, more: int = 0) -> int:
    return 2 * number + more


def refuse(rule: str) -> None:
    raise Rejected(rule, "it is bad", "Send a good one.")


def fail() -> None:
    raise ZeroDivisionError("a fault of ours")


def die() -> None:
    os._exit(11)


def die_at_first(times: int, directory: Path) -> int:
    """End as the kernel ends a process when memory is short, so many times; each leaves a file behind."""
    before = len(list(directory.iterdir()))
    (directory / str(before)).touch()
    if before < times:
        os.kill(os.getpid(), signal.SIGKILL)
    return before


def never_end() -> None:
    threading.Event().wait()


def hang_at_first(times: int, directory: Path) -> int:
    """Never end, so many times; each leaves a file behind."""
    before = len(list(directory.iterdir()))
    (directory / str(before)).touch()
    if before < times:
        never_end()
    return before


def process_id() -> int:
    return os.getpid()


def leave_a_mark() -> None:
    """Prepare a process."""
    os.environ["PREPARED"] = "yes"


def mark() -> str | None:
    return os.environ.get("PREPARED")
