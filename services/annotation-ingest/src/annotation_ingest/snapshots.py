"""Copies the view to the store now and then, for whoever starts without one."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from annotation_ingest.settings import SnapshotSettings
from labelstream.blobs.ports import Blobs
from labelstream.service.health import Health
from labelstream.view import AnnotationView
from labelstream.view.snapshots import save_snapshot

LOOK_EVERY_S = 5.0


async def keep_snapshots(
    view: AnnotationView, path: Path, blobs: Blobs, told: SnapshotSettings, health: Health
) -> None:
    """Save a snapshot of the view at `path` whenever it is due, until cancelled."""
    saved, when = view.position, time.monotonic()
    while True:
        await asyncio.sleep(min(LOOK_EVERY_S, told.every_s))
        new = _messages(view.position) - _messages(saved)
        if new >= told.every_messages or (new > 0 and time.monotonic() - when >= told.every_s):
            saved, when = view.position, time.monotonic()
            await save_snapshot(path, blobs, health)


def _messages(position: int | None) -> int:
    return 0 if position is None else position + 1
