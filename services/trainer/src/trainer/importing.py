"""Bringing weights into a project: read in a child process that can do no harm, recorded in the store under a name."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from labelstream import keys
from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected
from labelstream.values import FileRef
from labelstream.weights import RECORD, ImportedWeights, read_weights
from labelstream_yolo.importing.contract import Imported
from labelstream_yolo.importing.process import import_weights


@dataclass(frozen=True)
class Brought:
    """Weights that are in the project now."""

    weights: ImportedWeights
    was_there: bool
    confined: bool  # whether the process that read the file was kept from the network


async def bring(blobs: Blobs, project: str, name: str, file: Path, scratch: Path) -> Brought:
    """Read a file of weights and record it under `name`; the same weights again change nothing.

    Raises Rejected (`weights.unreadable`, `weights.task`, `weights.network`, `weights.name_taken`), Unavailable.
    """
    found = await import_weights(file, scratch)
    there = await read_weights(blobs, project, name)
    if there is None:
        record = await _stored(blobs, project, name, file, found)
        if await blobs.create(keys.weights(project, name, RECORD), record.model_dump_json(indent=1).encode()):
            return Brought(record, was_there=False, confined=found.confined)
        there = await read_weights(blobs, project, name)  # somebody was quicker
    if there is None or there.id != found.id:
        raise Rejected(
            "weights.name_taken",
            f"{name} is the name of other weights in project {project}"
            + (f", from {there.source} on {there.imported:%Y-%m-%d}" if there else ""),
            "Take another name: one that trainings were asked for with never changes its meaning",
        )
    return Brought(there, was_there=True, confined=found.confined)


async def _stored(blobs: Blobs, project: str, name: str, file: Path, found: Imported) -> ImportedWeights:
    return ImportedWeights(
        id=found.id,
        weights=await _uploaded(blobs, found.weights, keys.weights(project, name, f"{found.id}.safetensors")),
        architecture=await _uploaded(blobs, found.architecture, keys.weights(project, name, f"{found.id}.json")),
        name=name,
        names=found.names,
        image_size=found.image_size,
        parameters=found.parameters,
        source=file.name,
        source_sha256=found.source_sha256,
        imported=datetime.now(UTC),
    )


async def _uploaded(blobs: Blobs, path: Path, key: str) -> FileRef:
    await blobs.upload(path, key)
    return await asyncio.to_thread(FileRef.of_file, key, path)
