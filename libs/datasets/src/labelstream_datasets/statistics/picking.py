"""Which images a person is shown: always the same ones, of different classes and sources, from few archives."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from labelstream_datasets.manifest import Manifest, Row
from labelstream_datasets.statistics.model import Example, Statistics


def pick(statistics: Statistics, images: int, most_archives: int) -> tuple[str, ...]:
    """Return digests of images that show boxes: each class in turn, the rarest first."""
    chosen: dict[str, Example] = {}
    classes = sorted((one for one in statistics.classes if one.examples), key=lambda one: (one.images, one.id))
    found = True
    while found and len(chosen) < images:
        found = False
        for one in classes:
            example = _best(one.examples, chosen, most_archives) if len(chosen) < images else None
            if example is not None:
                chosen[example.image] = example
                found = True
    return tuple(chosen)


def rows_of(manifest: Manifest, images: Collection[str]) -> Iterator[Row]:
    """Return all rows of some images, in the manifest's order."""
    column = manifest.table["image"].combine_chunks()
    wanted = pc.is_in(column.dictionary, value_set=pa.array(sorted(images), pa.string()))
    return Manifest(manifest.table.filter(wanted.take(column.indices))).rows()


def _best(examples: tuple[Example, ...], chosen: dict[str, Example], most_archives: int) -> Example | None:
    """Return a training image if there is one, of a new medium, from an archive that is read anyway."""
    archives = {example.archive for example in chosen.values()}
    media = {example.medium for example in chosen.values()}
    full = len(archives) >= most_archives
    left = [
        example
        for example in examples
        if example.image not in chosen and not (full and example.archive not in archives)
    ]
    return min(
        left, key=lambda one: (one.split != "train", one.medium in media, one.archive not in archives), default=None
    )
