"""Weights that somebody brought into a project, to begin trainings with. A name never comes to mean others."""

from __future__ import annotations

import re
from datetime import datetime

from pydantic import Field

from labelstream import keys
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.events.training import WeightsRef
from labelstream.values import Sha256

RECORD = "weights.json"
NAME_FORM = r"^[a-z0-9][a-z0-9._-]{0,62}$"


class ImportedWeights(WeightsRef):
    """A detector's weights in the data bucket, and where they came from."""

    name: str = Field(pattern=NAME_FORM)
    names: tuple[str, ...] = Field(description="its classes, by id")
    image_size: int
    parameters: int
    source: str = Field(description="name of the file that was brought")
    source_sha256: Sha256
    imported: datetime


async def read_weights(blobs: Blobs, project: str, name: str) -> ImportedWeights | None:
    """Return the weights of that name; None when there are none. Raises Unavailable."""
    if not re.match(NAME_FORM, name):
        return None
    try:
        stored = await blobs.get(keys.weights(project, name, RECORD))
    except BlobNotFound:
        return None
    return ImportedWeights.model_validate_json(stored.data)


async def list_weights(blobs: Blobs, project: str) -> list[ImportedWeights]:
    """Return all weights of a project, by name. Raises Unavailable."""
    names = [info.key.split("/")[-2] async for info in blobs.list(keys.all_weights(project)) if _is_record(info.key)]
    found = [await read_weights(blobs, project, name) for name in sorted(names)]
    return [weights for weights in found if weights is not None]


def _is_record(key: str) -> bool:
    return key.endswith(f"/{RECORD}")
