"""Which datasets there are, and which samples of one came from an annotation."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq
from pydantic import ValidationError

from labelstream import keys
from labelstream.blobs.checked import read_checked
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.events.training import DatasetRef
from labelstream.values import FileRef
from labelstream_datasets.description import DESCRIPTION, DatasetDescription
from labelstream_datasets.loading import load_description

_COLUMNS = ["name", "split", "image", "labels", "variant"]


@dataclass(frozen=True)
class Held:
    """An annotation's samples in a dataset."""

    split: str
    samples: int  # the original and its variants
    revision: int | None  # that brought this content, as far as that is known

    @property
    def told(self) -> str:
        """In words."""
        samples = f"{self.samples} images" if self.samples > 1 else "1 image"
        revision = f" of revision {self.revision}" if self.revision is not None else ""
        return f"{samples}{revision} in {self.split}"

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {"split": self.split, "samples": self.samples, "revision": self.revision}


async def stored_datasets(blobs: Blobs, project: str, known: Container[str]) -> tuple[list[DatasetRef], list[str]]:
    """Return the stored datasets but those that are known, the newest cut first; and the ids of unreadable ones."""
    found: list[DatasetRef] = []
    unreadable: list[str] = []
    async for info in blobs.list(keys.datasets(project)):
        dataset_id, _, name = info.key.removeprefix(keys.datasets(project)).partition("/")
        if name != DESCRIPTION or dataset_id in known:
            continue
        try:
            data = (await blobs.get(info.key)).data
            found.append(DatasetDescription.from_json(data).reference(FileRef.of(info.key, data)))
        except (BlobNotFound, ValidationError):
            unreadable.append(dataset_id)
    return sorted(found, key=lambda one: -one.cut.offset), unreadable


async def samples_of(
    blobs: Blobs, dataset: DatasetRef, name: str, revisions: dict[tuple[str, str], int]
) -> Held | None:
    """Return what a dataset holds of an annotation, if anything. Raises Rejected when its files are gone or changed."""
    description = await load_description(blobs, dataset.description)
    if description.manifest is None:
        return None
    data = await read_checked(blobs, description.manifest)
    rows = await asyncio.to_thread(_rows, data, name)
    if not rows:
        return None
    content = rows[0]["image"], rows[0]["labels"]
    return Held(rows[0]["split"], len(rows), revisions.get(content))


def _rows(parquet: bytes, name: str) -> list[dict[str, Any]]:
    """Return the rows of an annotation; the others are not put together."""
    table = pq.read_table(io.BytesIO(parquet), columns=_COLUMNS, filters=[("name", "=", name)])
    return list(table.to_pylist())
