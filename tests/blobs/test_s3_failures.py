"""What becomes of a service whose object store is away, or will not have it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from labelstream.blobs.s3 import S3Blobs
from labelstream.errors import Misconfigured, Unavailable
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.service.settings import StoreSettings

pytestmark = pytest.mark.store

Opener = Callable[..., S3Blobs]


@pytest_asyncio.fixture
async def opened() -> AsyncIterator[Opener]:
    stores: list[S3Blobs] = []

    def open_store(settings: StoreSettings, bucket: str | None = None, health: Health | None = None) -> S3Blobs:
        stores.append(S3Blobs(settings, bucket or settings.data_bucket, health or Health()))
        return stores[-1]

    yield open_store
    for store in stores:
        await store.close()


async def test_every_call_says_that_the_store_is_away(opened: Opener, tmp_path: Path) -> None:
    health = Health()
    nobody = StoreSettings(endpoint_url="http://127.0.0.1:9", access_key="a", secret_key=SecretStr("s"))
    blobs = opened(nobody, health=health)
    (tmp_path / "file").write_bytes(b"x")

    async def first_of_listing() -> None:
        async for _ in blobs.list(""):
            return

    calls: list[Awaitable[Any]] = [
        blobs.put("a", b""),
        blobs.create("a", b""),
        blobs.replace("a", b"", '"etag"'),
        blobs.get("a"),
        blobs.get_range("a", 0, 1),
        blobs.head("a"),
        first_of_listing(),
        blobs.delete("a"),
        blobs.upload(tmp_path / "file", "a"),
        blobs.download("a", tmp_path / "down"),
    ]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [Unavailable] * len(calls)
    assert not health.is_ready


async def test_a_killed_store_is_awaited_and_the_call_goes_through_when_it_is_back(
    opened: Opener, fresh_seaweedfs: Any
) -> None:
    health = Health()
    blobs = opened(fresh_seaweedfs.settings, health=health)
    await blobs.put("before", b"kept")
    fresh_seaweedfs.kill()
    with pytest.raises(Unavailable):
        await blobs.get("before")

    writing = asyncio.create_task(patiently(health, "store", lambda: blobs.put("after", b"written")))
    await _awaited(health, "store")
    await asyncio.to_thread(fresh_seaweedfs.restart)
    await writing

    assert health.is_ready
    assert (await blobs.get("before")).data == b"kept"
    assert (await blobs.get("after")).data == b"written"


async def test_a_wrong_secret_is_said_with_what_to_correct(opened: Opener, seaweedfs: Any) -> None:
    wrong = seaweedfs.settings.model_copy(update={"secret_key": SecretStr("wrong")})

    with pytest.raises(Misconfigured, match="access key or secret key"):
        await opened(wrong).put("a", b"")


async def test_an_unknown_access_key_is_said_with_what_to_correct(opened: Opener, seaweedfs: Any) -> None:
    unknown = seaweedfs.settings.model_copy(update={"access_key": "nobody"})

    with pytest.raises(Misconfigured, match="access key or secret key"):
        await opened(unknown).get("a")


async def test_a_missing_right_is_said_with_bucket_key_and_right(opened: Opener, seaweedfs: Any) -> None:
    reader = seaweedfs.settings_of("inference")

    with pytest.raises(Misconfigured, match=f"writing on {reader.model_bucket}/some/key"):
        await opened(reader, reader.model_bucket).put("some/key", b"")


async def test_a_missing_bucket_is_said_by_name(opened: Opener, seaweedfs: Any) -> None:
    with pytest.raises(Misconfigured, match="no-such-bucket"):
        await opened(seaweedfs.settings, "no-such-bucket").get("a")


async def _awaited(health: Health, what: str) -> None:
    while True:
        if what in health.report()["waiting"]:
            return
        await asyncio.sleep(0.05)
