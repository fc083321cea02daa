"""Whether a store keeps the promises that leases rest on: asked once, at start."""

from __future__ import annotations

import uuid

from labelstream.blobs.ports import BlobChanged, Blobs
from labelstream.errors import Misconfigured


async def probe_conditional_writes(blobs: Blobs, prefix: str = "probes/") -> None:
    """Prove that the store honours If-None-Match and If-Match.

    Raises Misconfigured when it does not (some stores ignore them silently), Unavailable when it is away.
    """
    key = f"{prefix}{uuid.uuid4().hex}"
    first = await blobs.create(key, b"first")
    try:
        if await blobs.create(key, b"second") is not None:
            raise _broken("If-None-Match: *")
        second = await blobs.replace(key, b"third", first or "")
        try:
            await blobs.replace(key, b"fourth", first or "")
        except BlobChanged:
            return
        raise _broken(f"If-Match (it wrote over {second} for {first})")
    finally:
        await blobs.delete(key)


def _broken(condition: str) -> Misconfigured:
    return Misconfigured(
        f"the object store ignores {condition}, so two workers could hold one lease; use another store"
    )
