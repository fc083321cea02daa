"""Copies the view to the store now and then, for whoever starts without one."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path

import structlog

from annotation_ingest.disk import disk_trouble
from annotation_ingest.settings import SnapshotSettings
from labelstream.blobs.ports import Blobs
from labelstream.service.health import Health
from labelstream.view import AnnotationView
from labelstream.view.snapshots import save_snapshot

LOOK_EVERY_S = 5.0
SNAPSHOT = "snapshot"

log = structlog.get_logger()


async def keep_snapshots(
    view: AnnotationView, path: Path, blobs: Blobs, told: SnapshotSettings, health: Health
) -> None:
    """Save a snapshot of the view at `path` whenever it is due, until cancelled.

    A disk without room for the copy is said, and stops nothing: it is tried again when the next one is due.
    """
    saved, when = view.position, time.monotonic()
    while True:
        await asyncio.sleep(min(LOOK_EVERY_S, told.every_s))
        new = _messages(view.position) - _messages(saved)
        if new >= told.every_messages or (new > 0 and time.monotonic() - when >= told.every_s):
            saved, when = view.position, time.monotonic()
            health.degraded(SNAPSHOT, await _trouble(path, blobs, health))


async def _trouble(path: Path, blobs: Blobs, health: Health) -> str | None:
    """Save a snapshot; return what the disk has against it."""
    try:
        await save_snapshot(path, blobs, health)
    except sqlite3.OperationalError as error:
        reason = disk_trouble(error)
        if reason is None:
            raise
        log.error("snapshot.failed", path=str(path), reason=reason)
        return f"the view could not be copied: {reason}"
    return None


def _messages(position: int | None) -> int:
    return 0 if position is None else position + 1
