"""Stores that keep less than they promise are found out at start."""

from __future__ import annotations

import pytest

from labelstream.blobs.memory import MemoryBlobs
from labelstream.blobs.probe import probe_conditional_writes
from labelstream.errors import Misconfigured, Unavailable


class IgnoresIfNoneMatch(MemoryBlobs):
    async def create(self, key: str, data: bytes) -> str | None:
        return await self.put(key, data)


class IgnoresIfMatch(MemoryBlobs):
    async def replace(self, key: str, data: bytes, etag: str) -> str:
        del etag
        return await self.put(key, data)


@pytest.mark.parametrize(
    ("blobs", "ignored"), [(IgnoresIfNoneMatch(), "If-None-Match"), (IgnoresIfMatch(), "If-Match")]
)
async def test_a_store_that_ignores_a_condition_is_refused_and_left_clean(blobs: MemoryBlobs, ignored: str) -> None:
    with pytest.raises(Misconfigured, match=ignored):
        await probe_conditional_writes(blobs)

    assert [info async for info in blobs.list("")] == []


async def test_a_store_that_is_away_is_not_judged() -> None:
    with pytest.raises(Unavailable):
        await probe_conditional_writes(MemoryBlobs(away="maintenance"))
