"""A file that is rewritten in place is known to its readers at every moment."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.blobs.rewriting import read_rewritten, rewrite
from labelstream.errors import Rejected, Unavailable
from labelstream.values import FileRef

KEY, DATA = "default/jobs/j/attempts/0001/report.html", b"one two three"
FILE = FileRef.of(KEY, DATA)


def without_two(data: bytes) -> bytes:
    return data.replace(b" two", b"")


def without_three(data: bytes) -> bytes:
    return data.replace(b" three", b"")


@dataclass
class Dying(MemoryBlobs):
    """A store that goes away before the file itself is written, but not before the note beside it is."""

    dies: bool = True

    async def replace(self, key: str, data: bytes, etag: str) -> str:
        if key == KEY and self.dies:
            raise Unavailable("store", "gone")
        return await super().replace(key, data, etag)


@dataclass
class Shared(MemoryBlobs):
    """A store in which somebody else writes the file just before we do, once."""

    others: bytes | None = None

    async def replace(self, key: str, data: bytes, etag: str) -> str:
        others, self.others = self.others, None
        if others is not None:
            await self.put(KEY, others)
        return await super().replace(key, data, etag)


async def test_a_rewritten_file_is_read_by_the_reference_of_its_event() -> None:
    blobs = MemoryBlobs()
    await blobs.put(KEY, DATA)
    assert await read_rewritten(blobs, FILE) == DATA
    for change, left in ((without_two, b"one three"), (without_three, b"one")):
        assert await rewrite(blobs, KEY, change)
        assert await read_rewritten(blobs, FILE) == left
        assert not await rewrite(blobs, KEY, change)
    assert (await blobs.get(KEY)).data == b"one"


async def test_what_changes_nothing_writes_nothing() -> None:
    blobs = MemoryBlobs()
    etag = await blobs.put(KEY, DATA)
    assert not await rewrite(blobs, KEY, bytes)
    assert (await blobs.get(KEY)).etag == etag
    assert await blobs.head(keys.forwarding(KEY)) is None


async def test_a_file_that_changed_without_a_note_is_refused() -> None:
    blobs = MemoryBlobs()
    await blobs.put(KEY, DATA)
    await rewrite(blobs, KEY, without_two)
    await blobs.put(KEY, b"something else")
    with pytest.raises(Rejected, match=r"object\.changed.*" + FILE.sha256):
        await read_rewritten(blobs, FILE)
    await blobs.delete(KEY)
    with pytest.raises(Rejected, match=r"object\.missing"):
        await read_rewritten(blobs, FILE)


async def test_readers_know_the_file_after_a_crash_in_the_middle_of_any_rewriting() -> None:
    blobs = Dying()
    await blobs.put(KEY, DATA)
    left = DATA
    for change in (without_two, without_three):
        blobs.dies = True
        with pytest.raises(Unavailable):
            await rewrite(blobs, KEY, change)
        assert await read_rewritten(blobs, FILE) == left
        blobs.dies = False
        assert await rewrite(blobs, KEY, change)
        left = change(left)
        assert await read_rewritten(blobs, FILE) == left
    assert left == b"one"


async def test_what_somebody_else_wrote_meanwhile_is_not_lost() -> None:
    blobs = Shared()
    await blobs.put(KEY, DATA)
    blobs.others = b"one two"
    assert await rewrite(blobs, KEY, without_two)
    assert (await blobs.get(KEY)).data == b"one"
    assert await read_rewritten(blobs, FILE) == b"one"


async def test_a_damaged_note_is_begun_anew() -> None:
    blobs = MemoryBlobs()
    await blobs.put(KEY, DATA)
    await blobs.put(keys.forwarding(KEY), b"{")
    assert await rewrite(blobs, KEY, without_two)
    assert await read_rewritten(blobs, FILE) == b"one three"
