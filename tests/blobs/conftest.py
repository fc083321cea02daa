"""The object stores that the contract suites run on."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from labelstream.blobs.memory import MemoryBlobs
from labelstream.blobs.ports import Blobs
from labelstream.blobs.s3 import S3Blobs
from labelstream.service.health import Health


@pytest_asyncio.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.store)])
async def blobs(request: pytest.FixtureRequest) -> AsyncIterator[Blobs]:
    if request.param == "memory":
        yield MemoryBlobs()
        return
    settings = request.getfixturevalue("seaweedfs").settings
    store = S3Blobs(settings, settings.data_bucket, Health(), page_size=3)
    yield store
    await store.close()


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid.uuid4().hex}/"
