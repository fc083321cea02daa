"""Copies of the view in the store, so that a service that lost its disk need not fold the whole stream.

A snapshot can be thrown away like the view itself: whoever restores one compares it with the stream.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import structlog

from labelstream import keys
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.errors import Unavailable
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.view import tables

STORE = "object store"

log = structlog.get_logger()


async def save_snapshot(path: Path, blobs: Blobs, health: Health) -> None:
    """Copy the committed state of the view at `path` to the store; the view can be written meanwhile."""
    copy = path.with_name(f"{path.name}-snapshot")
    try:
        size_bytes = await asyncio.to_thread(_copy, path, copy)
        await patiently(health, STORE, lambda: blobs.upload(copy, keys.view_snapshot(tables.VERSION)))
    finally:
        copy.unlink(missing_ok=True)
    log.info("snapshot.saved", size_bytes=size_bytes)


async def restore_snapshot(path: Path, blobs: Blobs, health: Health) -> bool:
    """Fetch the newest snapshot to `path` where no view is yet; return whether there was one.

    Raises Unavailable when the disk does not take it.
    """
    if not await asyncio.to_thread(_is_wanted, path):
        return False
    try:
        await patiently(health, STORE, lambda: blobs.download(keys.view_snapshot(tables.VERSION), path))
    except BlobNotFound:
        return False
    except OSError as error:
        raise Unavailable("disk", f"{path.name} can't be written: {error.strerror}") from error
    return await asyncio.to_thread(_keep_if_sound, path)


def _copy(path: Path, copy: Path) -> int:
    """Write a compact copy in the place of one that a killed process left; return its size."""
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as connection:
        connection.execute("PRAGMA temp_store = FILE")
        connection.execute("VACUUM INTO ?", (str(copy),))
    return copy.stat().st_size


def _is_wanted(path: Path) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return False
    tables.remove(path)  # a log of changes that was left behind would be taken for the new file's
    return True


def _keep_if_sound(path: Path) -> bool:
    sound = _is_sound(path)
    log.info("snapshot.restored" if sound else "snapshot.unsound", size_bytes=path.stat().st_size)
    if not sound:
        path.unlink()
    return sound


def _is_sound(path: Path) -> bool:
    """Say whether a file is a view of ours; a torn upload is none."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            rows = connection.execute("SELECT count(*) FROM meta").fetchone()[0]
    except sqlite3.DatabaseError:
        return False
    return bool(version == tables.VERSION and rows)
