"""The view is copied to the store beside the work, and never in its way."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from annotation_ingest.disk import disk_trouble
from annotation_ingest.settings import SnapshotSettings
from annotation_ingest.snapshots import keep_snapshots
from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Unavailable
from labelstream.events.annotation import AnnotationSettled, Outcome
from labelstream.events.envelope import Envelope
from labelstream.service.health import Health
from labelstream.values import Position
from labelstream.view import AnnotationView, tables
from labelstream.view.snapshots import restore_snapshot, save_snapshot

KEY = keys.view_snapshot(tables.VERSION)


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """Have the system refuse what would make a file larger, in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def settle(view: AnnotationView, at: int) -> None:
    """Fold one receipt, and commit it."""
    event = AnnotationSettled(
        input=Position(stream="annotations", offset=at),
        message_key=f"key-{at}",
        wire="native",
        outcomes=(Outcome(name="a", outcome="held", validated=True),),
    )
    view.apply(at, Envelope.of(event, source="test", answers=f"{at}", project="default"))
    view.commit()


async def test_a_disk_without_room_for_the_copy_is_said_and_stops_nothing(tmp_path: Path, view: AnnotationView) -> None:
    blobs, health = MemoryBlobs(), Health()
    told = SnapshotSettings(every_messages=1, every_s=0.01)
    task = asyncio.create_task(keep_snapshots(view, tmp_path / "unit.sqlite", blobs, told, health))
    await asyncio.sleep(0)  # it begins before anything is new
    settle(view, 0)
    with files_of_at_most(10_000):
        while "snapshot" not in health.report()["degraded"]:  # noqa: ASYNC110  # health has no event to wait for
            await asyncio.sleep(0.001)
    assert not task.done()
    settle(view, 1)
    while await blobs.head(KEY) is None or health.report()["degraded"]:  # noqa: ASYNC110  # nor has the store
        await asyncio.sleep(0.001)
    assert not (tmp_path / "unit.sqlite-snapshot").exists()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_disk_without_room_for_the_snapshot_is_waited_for(tmp_path: Path, view: AnnotationView) -> None:
    blobs = MemoryBlobs()
    settle(view, 0)
    await save_snapshot(tmp_path / "unit.sqlite", blobs, Health())
    with files_of_at_most(10_000), pytest.raises(Unavailable) as full:
        await restore_snapshot(tmp_path / "new.sqlite", blobs, Health())
    assert disk_trouble(full.value) is not None
