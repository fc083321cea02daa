"""Who may do what in the bucket where producers put the images that they refer to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from labelstream.blobs.ports import BlobTooLarge
from labelstream.blobs.s3 import S3Blobs
from labelstream.errors import Misconfigured
from labelstream.service.health import Health

pytestmark = pytest.mark.store

Incoming = Callable[[str], S3Blobs]


@pytest_asyncio.fixture
async def incoming(seaweedfs: Any) -> AsyncIterator[Incoming]:
    """The bucket as the identity of that name sees it."""
    stores: list[S3Blobs] = []

    def seen_by(identity: str) -> S3Blobs:
        settings = seaweedfs.settings_of(identity)
        stores.append(S3Blobs(settings, settings.incoming_bucket, Health()))
        return stores[-1]

    yield seen_by
    for store in stores:
        await store.close()


async def test_what_a_producer_puts_ingest_reads_up_to_the_size_that_it_takes(incoming: Incoming, prefix: str) -> None:
    await incoming("producer").put(prefix + "image", b"pixels")

    assert (await incoming("annotation-ingest").get(prefix + "image", most_bytes=6)).data == b"pixels"
    with pytest.raises(BlobTooLarge):
        await incoming("annotation-ingest").get(prefix + "image", most_bytes=5)


async def test_a_producer_writes_a_name_once_and_sees_that_it_is_taken(incoming: Incoming, prefix: str) -> None:
    producer = incoming("producer")

    assert await producer.create(prefix + "image", b"first") is not None
    assert await producer.create(prefix + "image", b"second") is None
    assert (await incoming("operator").get(prefix + "image")).data == b"first"


async def test_a_producer_reads_and_lists_nothing_there(incoming: Incoming, prefix: str) -> None:
    producer = incoming("producer")
    await producer.put(prefix + "image", b"pixels")

    with pytest.raises(Misconfigured, match="refuses reading"):
        await producer.get(prefix + "image")
    with pytest.raises(Misconfigured, match="refuses listing"):
        _ = [info async for info in producer.list(prefix)]


@pytest.mark.parametrize("bucket", ["data_bucket", "model_bucket", "resources_bucket"])
async def test_a_producer_reaches_no_other_bucket(seaweedfs: Any, prefix: str, bucket: str) -> None:
    settings = seaweedfs.settings_of("producer")
    store = S3Blobs(settings, getattr(settings, bucket), Health())

    for call in (store.put(prefix + "a", b"1"), store.get(prefix + "a")):
        with pytest.raises(Misconfigured, match="refuses"):
            await call
    await store.close()


@pytest.mark.parametrize("identity", ["annotation-ingest", "augmenter", "trainer", "exporter", "inference"])
async def test_no_service_writes_there(incoming: Incoming, prefix: str, identity: str) -> None:
    with pytest.raises(Misconfigured, match="refuses writing"):
        await incoming(identity).put(prefix + "image", b"pixels")
