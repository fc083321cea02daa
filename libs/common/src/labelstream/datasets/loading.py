"""Reading stored datasets, and nothing but what their references describe."""

from __future__ import annotations

import asyncio

from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.datasets.description import DatasetDescription
from labelstream.datasets.manifest import Manifest
from labelstream.errors import Rejected
from labelstream.values import FileRef, sha256_hex


async def load_description(blobs: Blobs, description: FileRef) -> DatasetDescription:
    """Read a `dataset.json`. Raises Rejected when it is gone or changed, Unavailable."""
    return DatasetDescription.from_json(await _checked(blobs, description))


async def load_manifest(blobs: Blobs, description: DatasetDescription) -> Manifest:
    """Read the manifest of a stored dataset. Raises Rejected when it is gone or changed, Unavailable."""
    if description.manifest is None:
        raise ValueError("this description was not read from the store")
    return await asyncio.to_thread(Manifest.from_parquet, await _checked(blobs, description.manifest))


async def _checked(blobs: Blobs, file: FileRef) -> bytes:
    try:
        data = (await blobs.get(file.key)).data
    except BlobNotFound as error:
        raise Rejected("dataset.missing", f"the store has no {file.key}", "Build a new dataset.") from error
    if sha256_hex(data) != file.sha256:
        raise Rejected("dataset.changed", f"{file.key} has another digest than {file.sha256}", "Restore the object.")
    return data
