"""Heeding cancels that a library loses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heeding_cancels() -> Iterator[None]:
    """Raise CancelledError behind calls during which our task was cancelled, whatever came of them.

    `asyncio.wait_for`, by which rstream and aio-pika wait, loses a cancel that meets the end of its wait in
    Python 3.11 (from 3.12 on it does not): the call then returns or fails as if nothing had happened, its task goes
    on, and whoever cancelled waits for ever. The task itself has counted the cancel.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        yield
    except Exception as error:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError from error
        raise
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
