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


async def test_half_a_snapshot_is_thrown_away(tmp_path: Path) -> None:
    blobs, lost = MemoryBlobs(), tmp_path / "lost" / "view.sqlite"
    view = AnnotationView(lost)
    for at in range(200):
        view.apply(at, settled(at))
    view.close()
    await save_snapshot(lost, blobs, Health())
    whole = (await blobs.get(KEY)).data
    await blobs.put(KEY, whole[: len(whole) // 2])
    assert not await restore_snapshot(tmp_path / "view.sqlite", blobs, Health())
    assert not (tmp_path / "view.sqlite").exists()


async def test_what_a_view_that_is_gone_left_behind_does_not_get_into_its_successor(tmp_path: Path) -> None:
    blobs, path = MemoryBlobs(), tmp_path / "view.sqlite"
    view = AnnotationView(path)
    view.apply(0, settled(0))
    view.commit()
    await save_snapshot(path, blobs, Health())
    view.apply(1, settled(1))
    view.commit()
    left = path.with_name("view.sqlite-wal").read_bytes()
    view.close()
    tables.remove(path)
    path.with_name("view.sqlite-wal").write_bytes(left)
    assert await restore_snapshot(path, blobs, Health())
    again = AnnotationView(path)
    assert again.position == 0
    again.close()


async def test_a_copy_that_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    blobs, path = MemoryBlobs(), tmp_path / "view.sqlite"
    view = AnnotationView(path)
    view.apply(0, settled(0))
    view.commit()
    (tmp_path / "view.sqlite-snapshot").write_bytes(b"half a copy")
    await save_snapshot(path, blobs, Health())
    view.close()
    assert await restore_snapshot(tmp_path / "new.sqlite", blobs, Health())
    assert not (tmp_path / "view.sqlite-snapshot").exists()
