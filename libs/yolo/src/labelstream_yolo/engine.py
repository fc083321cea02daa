"""The protocol between a service and its engine, a subprocess that does heavy work on files.

    python -m <package>.engine SPEC.json

The spec names `out_dir`. There the engine leaves `result.json` (exit code 0) or `failure.json` with
a rule and a reason (exit code 1), and its log. Asked to end (SIGTERM), it stops at once with exit
code 143 and leaves what it needs to go on later. When the disk is too full to say even that, the exit
code is 74. Any other code means that it died (137: killed, often for want of memory); then neither
file may be there.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TypeVar

from labelstream.values import Value

DONE, FAILED, NO_ROOM, ENDED = 0, 1, 74, 143
RESULT, FAILURE, LOG = "result.json", "failure.json", "engine.log"
PARENT = "LABELSTREAM_ENGINE_PARENT"  # the process that started the engine, when a service did
DISK_FULL = "disk-full"  # the rule of a failure that ends when somebody makes room
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of the disk, the user or the process
_PR_SET_PDEATHSIG = 1

S = TypeVar("S", bound=Value)


class EngineFailure(Exception):
    """The work can't be done as asked."""

    def __init__(self, rule: str, reason: str) -> None:
        """Name the `rule` (a stable id) and the `reason`, with the values."""
        super().__init__(f"{rule}: {reason}")
        self.rule = rule
        self.reason = reason


class Ended(BaseException):
    """Somebody asked the engine to end; not an Exception, so that no library swallows it."""


def write_json(path: Path, content: object) -> None:
    """Write `content` whole or not at all."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(content, indent=1))
    unfinished.replace(path)


def lack_of_room(error: BaseException | None, folder: Path) -> str | None:
    """Say in words, with path and numbers, that `error` comes of a full disk; None when it does not."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            usage = shutil.disk_usage(folder)
            where = error.filename or folder
            return f"{error.strerror}: {where}; {usage.free} of {usage.total} bytes are free there"
        error = error.__cause__ or error.__context__
    return None


def run_engine(kind: type[S], out_dir: Callable[[S], Path], work: Callable[[S], object]) -> int:
    """Be an engine's main function: read the spec, do `work`, leave the result or failure, return the exit code."""
    _die_with_parent()
    spec = kind.model_validate_json(Path(sys.argv[1]).read_bytes())
    out = out_dir(spec)
    out.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, _end)
    try:
        write_json(out / RESULT, work(spec))
    except Ended:
        return ENDED
    except EngineFailure as failure:
        return _failed(out, failure.rule, failure.reason)
    except Exception as error:  # noqa: BLE001  # the last line of the process: whatever went wrong is told to the service
        full = lack_of_room(error, out)
        with contextlib.suppress(OSError):  # the log may lie on the full disk, too
            traceback.print_exc()
        if full:
            return _failed(out, DISK_FULL, full)
        return _failed(out, "engine-error", f"{type(error).__name__}: {error}")
    return DONE


def _failed(out: Path, rule: str, reason: str) -> int:
    try:
        write_json(out / FAILURE, {"rule": rule, "reason": reason})
    except OSError as error:
        if lack_of_room(error, out) is None:
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):  # what is still to be written at exit has no room either
            os.dup2(nowhere, stream)
        return NO_ROOM
    return FAILED


def _end(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # ended once is enough
    raise Ended


def _die_with_parent() -> None:
    parent = os.environ.get(PARENT)
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it died before we asked
        os.kill(os.getpid(), signal.SIGKILL)
