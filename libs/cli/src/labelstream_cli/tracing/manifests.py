"""Which samples of a dataset came from one annotation."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from labelstream.blobs.checked import read_checked
from labelstream.blobs.ports import Blobs
from labelstream.events.training import DatasetRef
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
