"""Working on archives a few at a time."""

from __future__ import annotations

import asyncio

import pytest

from labelstream.errors import Unavailable
from labelstream_datasets.archives.together import each_archive
from labelstream_datasets.manifest import Row


def archives(count: int) -> list[list[Row]]:
    digest = "a" * 64
    row = Row(digest, digest, digest, 0, "train", "n", "m", "", digest, 1, "p.jpg", 0, digest)
    return [[row._replace(archive=f"{number}.tar")] for number in range(count)]


async def test_every_archive_is_worked_on_once_and_never_too_many_at_the_same_time() -> None:
    done: list[str] = []
    busy = most = 0

    async def work(rows: list[Row]) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0)
        busy -= 1
        done.append(rows[0].archive)

    await each_archive(iter(archives(9)), work, 3)
    assert sorted(done) == [f"{number}.tar" for number in range(9)]
    assert most <= 3


async def test_when_one_fails_the_others_are_ended_before_the_error_is_raised() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work(rows: list[Row]) -> None:
        if rows[0].archive == "1.tar":
            await begun.wait()
            raise Unavailable("object store", "gone")
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(Unavailable):
        await each_archive(iter(archives(4)), work, 2)
    assert ended.is_set()
