"""An archive that something is about to refer to is made young again, and what went meanwhile does not come back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from labelstream.blobs.memory import MemoryBlobs
from labelstream.blobs.ports import Blob
from labelstream_datasets.archives.keeping import FRESH, keep

KEY = "default/archives/a.tar"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """A store's clock that tests set."""

    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> datetime:
        return self.now


class TakenAway(MemoryBlobs):
    """A store out of which an archive goes right after it was read."""

    async def get(self, key: str, most_bytes: int | None = None) -> Blob:
        found = await super().get(key, most_bytes)
        await self.delete(key)
        return found


@pytest.mark.parametrize(
    ("age", "modified"),
    [(FRESH / 2, BEGAN), (FRESH, BEGAN + FRESH), (timedelta(days=90), BEGAN + timedelta(days=90))],
    ids=["young", "ten minutes", "months"],
)
async def test_an_archive_that_is_old_is_written_again(age: timedelta, modified: datetime) -> None:
    clock = Clock()
    blobs = MemoryBlobs(clock)
    await blobs.put(KEY, b"archive")
    clock.now += age
    assert await keep(blobs, KEY)
    info = await blobs.head(KEY)
    assert info is not None
    assert info.modified == modified
    assert (await blobs.get(KEY)).data == b"archive"


async def test_what_is_not_there_is_not_kept() -> None:
    assert not await keep(MemoryBlobs(), KEY)


async def test_an_archive_that_is_erased_or_collected_meanwhile_does_not_come_back() -> None:
    clock = Clock()
    blobs = TakenAway(clock)
    await blobs.put(KEY, b"archive")
    clock.now += timedelta(days=90)
    assert not await keep(blobs, KEY)
    assert await blobs.head(KEY) is None
