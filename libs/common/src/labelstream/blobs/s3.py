"""An S3 bucket in threads: the hot calls through obstore, and everything through boto3."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from s3transfer.manager import TransferConfig, TransferManager

from labelstream.blobs.ports import Blob, BlobChanged, BlobInfo, BlobNotFound, BlobTooLarge
from labelstream.blobs.s3_errors import STORE, OutOfRange, translated
from labelstream.blobs.s3_quick import QuickBucket, Unsettled
from labelstream.errors import Unavailable
from labelstream.service.health import Health
from labelstream.service.settings import StoreSettings
from labelstream.service.tls import STORE_CA, trusting_at

T = TypeVar("T")

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 30
ATTEMPTS = 2  # the patient retrying is the caller's: see labelstream.service.patience
PART_BYTES = 16 << 20


class S3Blobs:
    """One bucket of an S3 store (see ports.Blobs)."""

    def __init__(self, settings: StoreSettings, bucket: str, health: Health, *, page_size: int = 1000) -> None:
        """Prepare to use `bucket`, listed in pages of `page_size`; nothing connects yet. Raises Misconfigured."""
        self.bucket = bucket
        self._health = health
        self._page_size = page_size
        self._process = os.getpid()
        self._client = client_of(settings)  # first, as it looks at the CA file, which both clients read
        self._quick = QuickBucket(settings, bucket)
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix=f"s3-{bucket}")
        self._transfers = TransferManager(
            self._client,
            TransferConfig(
                multipart_threshold=PART_BYTES,
                multipart_chunksize=PART_BYTES,
                max_request_concurrency=settings.threads,
            ),
        )

    async def put(self, key: str, data: bytes) -> str:
        """Write an object; return its ETag."""
        return await self._call(key, "writing", lambda: self._put(key, data))

    async def create(self, key: str, data: bytes) -> str | None:
        """Write an object unless the key is taken; its ETag, or None."""
        try:
            return await self._call(key, "writing", lambda: self._put(key, data, IfNoneMatch="*"))
        except BlobChanged:
            return None

    async def replace(self, key: str, data: bytes, etag: str) -> str:
        """Write over the object that has `etag`; return the new ETag."""
        try:
            return await self._call(key, "writing", lambda: self._put(key, data, IfMatch=etag))
        except BlobNotFound as error:
            raise BlobChanged(str(error)) from error

    async def get(self, key: str, most_bytes: int | None = None) -> Blob:
        """Read an object whole, if it has no more than `most_bytes`."""
        return await self._call(key, "reading", lambda: self._get(key, most_bytes))

    async def get_range(self, key: str, start: int, end: int) -> bytes:
        """Read bytes [start, end) of an object; fewer where it ends earlier."""
        if end <= start:
            return b""
        try:
            return await self._call(key, "reading", lambda: self._get_range(key, start, end))
        except OutOfRange:
            return b""

    async def head(self, key: str) -> BlobInfo | None:
        """Describe an object; None when there is none."""

        def head() -> BlobInfo:
            found = self._client.head_object(Bucket=self.bucket, Key=key)
            return BlobInfo(key, found["ContentLength"], found["ETag"], found["LastModified"], _store_time(found))

        try:
            return await self._call(key, "reading", head)
        except BlobNotFound:
            return None

    async def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        """Describe the objects whose keys begin with `prefix`, each once."""
        async with aclosing(self._pages(prefix)) as pages:
            async for page in pages:
                now = _store_time(page)
                for found in page.get("Contents", ()):
                    yield BlobInfo(found["Key"], found["Size"], found["ETag"], found["LastModified"], now)

    async def delete(self, key: str) -> None:
        """Remove an object; nothing happens when there is none."""
        try:
            await self._call(key, "deleting", lambda: self._client.delete_object(Bucket=self.bucket, Key=key))
        except BlobNotFound:
            return

    async def upload(self, path: Path, key: str) -> None:
        """Write a file of any size, in parts."""
        await self._call(key, "writing", lambda: self._transfers.upload(str(path), self.bucket, key).result())

    async def download(self, key: str, path: Path) -> None:
        """Read an object of any size into a file, which appears under its name when it is whole."""
        try:  # the transfer manager writes to a temporary name beside `path` and renames
            await self._call(key, "reading", lambda: self._transfers.download(self.bucket, key, str(path)).result())
        except BlobChanged as error:
            raise Unavailable(STORE, f"{self.bucket}/{key} was replaced while it was read") from error

    async def close(self) -> None:
        """Let go of threads and connections; calls that are under way are not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._transfers.shutdown, cancel=True)
        self._client.close()

    async def _call(self, key: str, right: str, work: Callable[[], T]) -> T:
        def translate() -> T:
            with translated(self.bucket, key, right):
                return work()

        if os.getpid() != self._process:
            raise RuntimeError("this bucket was opened before the process was forked: open it in each process")
        try:
            result = await asyncio.get_running_loop().run_in_executor(self._pool, translate)
        except Unavailable as error:
            self._health.waiting(STORE, error.reason)
            raise
        self._health.ready(STORE)
        return result

    def _put(self, key: str, data: bytes, **condition: str) -> str:
        with suppress(Unsettled):
            return self._quick.put(key, data, condition)
        return str(self._client.put_object(Bucket=self.bucket, Key=key, Body=data, **condition)["ETag"])

    def _get(self, key: str, most_bytes: int | None) -> Blob:
        with suppress(Unsettled):
            return self._quick.get(key, most_bytes)
        found = self._client.get_object(Bucket=self.bucket, Key=key)
        with found["Body"] as body:
            if most_bytes is not None and found["ContentLength"] > most_bytes:
                raise BlobTooLarge(key, found["ContentLength"])
            return Blob(body.read(), found["ETag"])

    def _get_range(self, key: str, start: int, end: int) -> bytes:
        with suppress(Unsettled):
            return self._quick.get_range(key, start, end)
        found = self._client.get_object(Bucket=self.bucket, Key=key, Range=f"bytes={start}-{end - 1}")
        with found["Body"] as body:
            return bytes(body.read())

    async def _pages(self, prefix: str) -> AsyncGenerator[Any, None]:
        token: dict[str, str] = {}
        while True:
            page = await self._call(prefix, "listing", partial(self._page, prefix, token))
            yield page
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def _page(self, prefix: str, token: dict[str, str]) -> Any:
        return self._client.list_objects_v2(Bucket=self.bucket, Prefix=prefix, MaxKeys=self._page_size, **token)


def client_of(settings: StoreSettings) -> Any:
    """Return a client of the store as boto3 has it. Raises Misconfigured."""
    trusting_at(settings.endpoint_url, settings.tls_ca, STORE_CA)
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=2 * settings.threads,  # plain calls, and the parts of transfers
        s3={"addressing_style": "path"},  # a bucket is seldom a host name of its own outside the clouds
        request_checksum_calculation=settings.checksums,
        response_checksum_validation=settings.checksums,
    )
    return boto3.session.Session().client(
        "s3",
        endpoint_url=settings.endpoint_url,
        region_name=settings.region,
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key.get_secret_value(),
        verify=str(settings.tls_ca) if settings.tls_ca else None,
        config=config,
    )


def _store_time(response: Any) -> datetime:
    return parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"])
