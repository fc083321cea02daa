"""Datasets in the object store."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from labelstream import keys
from labelstream.blobs.ports import Blobs
from labelstream.events.training import DatasetRef
from labelstream.values import FileRef, sha256_hex
from labelstream_datasets.building.published import Published, packed
from labelstream_datasets.description import DESCRIPTION, MANIFEST, DatasetDescription
from labelstream_datasets.manifest import Manifest


@dataclass(frozen=True)
class BuiltDataset:
    """A dataset that need not be stored yet."""

    description: DatasetDescription
    manifest: Manifest
    published: Published = field(default_factory=dict)


async def store(blobs: Blobs, built: BuiltDataset) -> DatasetRef:
    """Write the manifest, the published lists and `dataset.json` unless they are there; return what is stored.

    Raises Unavailable.
    """
    description = built.description
    parquet = await asyncio.to_thread(built.manifest.to_parquet)
    manifest = await _create(blobs, keys.dataset(description.project, description.id, MANIFEST), parquet)
    published = await _create_published(blobs, built) if built.published else None
    complete = description.model_copy(update={"manifest": manifest, "published": published})
    key = keys.dataset(description.project, description.id, DESCRIPTION)
    return description.reference(await _create(blobs, key, complete.to_json()))


async def _create_published(blobs: Blobs, built: BuiltDataset) -> FileRef:
    data = packed(built.published)
    name = f"published-{sha256_hex(data)[:16]}.json"
    return await _create(blobs, keys.dataset(built.description.project, built.description.id, name), data)


async def _create(blobs: Blobs, key: str, data: bytes) -> FileRef:
    """Write an object; what is stored first stands, and is what the reference describes."""
    if await blobs.create(key, data) is None:
        data = (await blobs.get(key)).data
    return FileRef(key=key, sha256=sha256_hex(data), size_bytes=len(data))
