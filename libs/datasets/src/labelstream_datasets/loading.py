"""Reading stored datasets, and nothing but what their references describe."""

from __future__ import annotations

import asyncio

from pydantic import ValidationError

from labelstream.blobs.checked import HINT, read_checked
from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected
from labelstream.events.training import DatasetRef
from labelstream.values import FileRef
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.manifest import Manifest


async def load_description(blobs: Blobs, description: FileRef) -> DatasetDescription:
    """Read a `dataset.json`. Raises Rejected when it is gone or changed, Unavailable."""
    return DatasetDescription.from_json(await read_checked(blobs, description))


async def load_reference(blobs: Blobs, description: FileRef) -> DatasetRef:
    """Return how events name a stored dataset. Raises Rejected when it is gone, changed or none, Unavailable."""
    try:
        return (await load_description(blobs, description)).reference(description)
    except ValidationError as error:
        raise Rejected("dataset.unreadable", f"{description.key} is no dataset: {error}", HINT) from error


async def load_manifest(blobs: Blobs, description: DatasetDescription) -> Manifest:
    """Read the manifest of a stored dataset. Raises Rejected when it is gone or changed, Unavailable."""
    if description.manifest is None:
        raise ValueError("this description was not read from the store")
    return await asyncio.to_thread(Manifest.from_parquet, await read_checked(blobs, description.manifest))
