"""Datasets in the object store."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from labelstream import keys
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.datasets.description import DESCRIPTION, MANIFEST, DatasetDescription
from labelstream.datasets.manifest import Manifest
from labelstream.errors import Rejected
from labelstream.events.training import DatasetRef
from labelstream.values import FileRef, sha256_hex


@dataclass(frozen=True)
class BuiltDataset:
    """A dataset that need not be stored yet."""

    description: DatasetDescription
    manifest: Manifest


async def store(blobs: Blobs, built: BuiltDataset) -> DatasetRef:
    """Write the manifest and `dataset.json` unless they are there; return what is stored. Raises Unavailable."""
    description = built.description
    parquet = await asyncio.to_thread(built.manifest.to_parquet)
    manifest = await _create(blobs, keys.dataset(description.project, description.id, MANIFEST), parquet)
    complete = description.model_copy(update={"manifest": manifest})
    key = keys.dataset(description.project, description.id, DESCRIPTION)
    return DatasetRef(
        id=description.id,
        description=await _create(blobs, key, complete.to_json()),
        cut=description.cut,
        samples={split: count.samples for split, count in description.counts.items()},
        test_images=description.count("test").images,
    )


async def load_description(blobs: Blobs, description: FileRef) -> DatasetDescription:
    """Read a `dataset.json`. Raises Rejected when it is gone or changed, Unavailable."""
    return DatasetDescription.from_json(await _checked(blobs, description))


async def load_manifest(blobs: Blobs, description: DatasetDescription) -> Manifest:
    """Read the manifest of a stored dataset. Raises Rejected when it is gone or changed, Unavailable."""
    if description.manifest is None:
        raise ValueError("this description was not read from the store")
    return await asyncio.to_thread(Manifest.from_parquet, await _checked(blobs, description.manifest))


async def _create(blobs: Blobs, key: str, data: bytes) -> FileRef:
    """Write an object; what is stored first stands, and is what the reference describes."""
    if await blobs.create(key, data) is None:
        data = (await blobs.get(key)).data
    return FileRef(key=key, sha256=sha256_hex(data), size_bytes=len(data))


async def _checked(blobs: Blobs, file: FileRef) -> bytes:
    try:
        data = (await blobs.get(file.key)).data
    except BlobNotFound as error:
        raise Rejected("dataset.missing", f"the store has no {file.key}", "Build a new dataset.") from error
    if sha256_hex(data) != file.sha256:
        raise Rejected("dataset.changed", f"{file.key} has another digest than {file.sha256}", "Restore the object.")
    return data
