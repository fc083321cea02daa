"""A view that was lost comes back from the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.events.annotation import AnnotationSettled, Outcome
from labelstream.events.envelope import Envelope
from labelstream.service.health import Health
from labelstream.values import Position
from labelstream.view import AnnotationView, tables
from labelstream.view.snapshots import restore_snapshot, save_snapshot

KEY = keys.view_snapshot(tables.VERSION)


def settled(at: int) -> Envelope:
    event = AnnotationSettled(
        input=Position(stream="annotations", offset=at),
        message_key=f"key-{at}",
        wire="native",
        outcomes=(Outcome(name="a", outcome="held", validated=True),),
    )
    return Envelope.of(event, source="test", answers=f"{at}", project="default")


async def test_a_snapshot_holds_what_was_committed(tmp_path: Path) -> None:
    blobs, lost = MemoryBlobs(), tmp_path / "lost" / "view.sqlite"
    view = AnnotationView(lost)
    view.apply(0, settled(0))
    view.commit()
    view.apply(1, settled(1))
    await save_snapshot(lost, blobs, Health())
    assert list(lost.parent.glob("*snapshot*")) == []
    found = tmp_path / "new" / "view.sqlite"
    assert await restore_snapshot(found, blobs, Health())
    again = AnnotationView(found)
    assert (again.position, again.tail) == (0, settled(0).id)
    assert again.seen("default", "key-0") == Position(stream="annotations", offset=0)
    again.apply(1, settled(1))
    again.close()
    view.close()


async def test_a_view_that_is_there_is_left_alone(tmp_path: Path) -> None:
    blobs, path = MemoryBlobs(), tmp_path / "view.sqlite"
    view = AnnotationView(path)
    view.apply(0, settled(0))
    view.commit()
    await save_snapshot(path, blobs, Health())
    view.apply(1, settled(1))
    view.close()
    assert not await restore_snapshot(path, blobs, Health())
    assert AnnotationView(path).position == 1


async def test_where_there_is_no_snapshot_the_view_begins_anew(tmp_path: Path) -> None:
    assert not await restore_snapshot(tmp_path / "view.sqlite", MemoryBlobs(), Health())
    assert not (tmp_path / "view.sqlite").exists()


@pytest.mark.parametrize("torn", [b"", b"SQLite format 3\0 and then nothing"], ids=["empty", "torn"])
async def test_a_file_that_is_no_view_is_thrown_away(tmp_path: Path, torn: bytes) -> None:
    blobs = MemoryBlobs()
    await blobs.put(KEY, torn)
    assert not await restore_snapshot(tmp_path / "view.sqlite", blobs, Health())
    assert not (tmp_path / "view.sqlite").exists()
