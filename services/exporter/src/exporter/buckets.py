"""Buckets that are let go with the process."""

from __future__ import annotations

from contextlib import AsyncExitStack

from labelstream.blobs.s3 import S3Blobs
from labelstream.service.health import Health
from labelstream.service.settings import StoreSettings


def bucket(stack: AsyncExitStack, store: StoreSettings, name: str, health: Health) -> S3Blobs:
    """Return a bucket that is closed with `stack`."""
    blobs = S3Blobs(store, name, health)
    stack.push_async_callback(blobs.close)
    return blobs
