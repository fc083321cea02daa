"""Waiting for what is away, and saying so."""

from __future__ import annotations

import asyncio
from itertools import islice

import pytest

from labelstream.blobs.memory import MemoryBlobs
from labelstream.blobs.ports import BlobNotFound
from labelstream.service.health import Health
from labelstream.service.patience import patiently, pauses


async def test_a_call_is_repeated_until_it_goes_through() -> None:
    health, blobs, calls = Health(), MemoryBlobs(away="maintenance"), []

    async def put() -> str:
        calls.append(health.is_ready)
        if len(calls) == 4:
            blobs.away = None
        return await blobs.put("key", b"x")

    etag = await patiently(health, "store", put, first_pause_s=0.001)

    assert (await blobs.get("key")).etag == etag
    assert calls == [True, False, False, False]
    assert health.is_ready


async def test_the_reason_is_shown_while_waiting() -> None:
    health, blobs = Health(), MemoryBlobs(away="maintenance")

    waiting = asyncio.create_task(patiently(health, "store", lambda: blobs.get("key"), first_pause_s=60))
    for _ in range(10):
        await asyncio.sleep(0)

    assert "maintenance" in health.report()["waiting"]["store"]["reason"]
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_other_errors_pass_at_once() -> None:
    with pytest.raises(BlobNotFound):
        await patiently(Health(), "store", lambda: MemoryBlobs().get("key"))


def test_pauses_double_up_to_the_longest_and_are_never_all_alike() -> None:
    first = list(islice(pauses(1, 10), 8))

    for pause_s, most_s in zip(first, [1, 2, 4, 8, 10, 10, 10, 10], strict=True):
        assert most_s / 2 <= pause_s <= most_s
    assert first != list(islice(pauses(1, 10), 8))
