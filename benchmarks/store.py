"""Objects of 200 KB in and out of the store, 8 calls in flight, against boto3 in threads.

Every run writes keys of its own; runs of reading read the same ones.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from benchmarks.pairs import Contest, Run
from benchmarks.servers import running
from labelstream.blobs.s3 import S3Blobs
from labelstream.service.health import Health
from labelstream.service.settings import StoreSettings
from labelstream_local.seaweedfs import WeedServer

COUNT, SIZE_BYTES, IN_FLIGHT = 300, 200_000, 8

Call = Callable[[str], Awaitable[object]]


@asynccontextmanager
async def contests(folder: Path) -> AsyncIterator[list[Contest]]:
    """Start a store and prepare the work."""
    async with running(WeedServer(folder / "seaweedfs")) as server:
        ours, peer = S3Blobs(server.settings, server.settings.data_bucket, Health()), Peer(server.settings)
        data = os.urandom(SIZE_BYTES)
        fresh = map(str, itertools.count())
        try:
            await _timed("stored", lambda key: ours.put(key, data))
            yield [
                _contest("put", fresh, lambda key: ours.put(key, data), lambda key: peer.put(key, data)),
                _contest("create", fresh, lambda key: ours.create(key, data), lambda key: peer.create(key, data)),
                _contest("get", itertools.repeat("stored"), ours.get, peer.get),
            ]
        finally:
            await ours.close()
            peer.close()


class Peer:
    """The same bucket through boto3, whose calls run in as many threads."""

    def __init__(self, settings: StoreSettings) -> None:
        self._threads = ThreadPoolExecutor(IN_FLIGHT)
        self._bucket = settings.data_bucket
        self._client: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=settings.endpoint_url,
            region_name=settings.region,
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=settings.secret_key.get_secret_value(),
            config=Config(max_pool_connections=2 * IN_FLIGHT, s3={"addressing_style": "path"}),
        )

    async def put(self, key: str, data: bytes) -> None:
        """Write an object."""
        await self._call(lambda: self._client.put_object(Bucket=self._bucket, Key=key, Body=data))

    async def create(self, key: str, data: bytes) -> None:
        """Write an object unless the key is taken."""
        await self._call(lambda: self._client.put_object(Bucket=self._bucket, Key=key, Body=data, IfNoneMatch="*"))

    async def get(self, key: str) -> None:
        """Read an object."""

        def read() -> bytes:
            return bytes(self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read())

        await self._call(read)

    def close(self) -> None:
        """Let go of threads and connections."""
        self._threads.shutdown()
        self._client.close()

    async def _call(self, work: Callable[[], object]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _contest(name: str, folders: Iterator[str], ours: Call, peer: Call) -> Contest:
    def run(call: Call) -> Run:
        return lambda: _timed(next(folders), call)

    return Contest(f"{name} 200 KB", run(ours), {"boto3": run(peer)}, COUNT, "objects", "ratio_to_best_peer")


async def _timed(folder: str, call: Call) -> float:
    """Make COUNT calls, IN_FLIGHT at a time; return the seconds that they took."""
    numbers = iter(range(COUNT))

    async def work() -> None:
        for number in numbers:
            await call(f"{folder}/{number}")

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return time.perf_counter() - began
