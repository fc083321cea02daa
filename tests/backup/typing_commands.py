"""Typing `labelstream` in a process of its own, which may be killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

PATIENCE_S = 240
_PROGRAM = (sys.executable, "-c", "from labelstream_cli.main import app; app()")


def said(*arguments: str) -> dict[str, Any]:
    """Run a command with --json; return the object that it prints."""
    done = subprocess.run(
        [*_PROGRAM, *arguments, "--json"], capture_output=True, check=False, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr + done.stdout
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def refused(*arguments: str) -> str:
    """Run a command that fails; return what it says."""
    done = subprocess.run([*_PROGRAM, *arguments], capture_output=True, check=False, text=True, timeout=PATIENCE_S)
    assert done.returncode == 1, done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())


def killed(*arguments: str, when: Callable[[], bool]) -> None:
    """Run a command, and kill it as soon as something has happened."""
    process = subprocess.Popen([*_PROGRAM, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE_S
    try:
        while not _happened(when):
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        process.kill()
        process.wait()


def _happened(when: Callable[[], bool]) -> bool:
    with suppress(FileNotFoundError):  # a server removed a folder while we looked
        return when()
    return False
