"""What the manifest alone says: samples, sources, and what augmenting left of the boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from labelstream.values import SPLITS, Split
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.manifest import Manifest
from labelstream_datasets.statistics.model import SourceFigures, Sources, SplitFigures, VariantFigures

TOP = 15  # sources that are listed


def samples_of(manifest: Manifest) -> dict[str, int]:
    """Return image → how many samples there are of it."""
    counted = manifest.table.select(["image"]).group_by("image").aggregate([([], "count_all")])
    return dict(zip(counted["image"].cast(pa.string()).to_pylist(), counted["count_all"].to_pylist(), strict=True))


def splits_of(description: DatasetDescription, manifest: Manifest) -> dict[Split, SplitFigures]:
    """Return what each split holds; boxes are counted elsewhere, after the label rules."""
    samples = _counts(manifest.table["split"])
    originals = _originals(manifest)
    images = _counts(originals["split"])
    media = Counter(split for _, split, _ in _media(originals))
    return {
        split: SplitFigures(
            media=media[split],
            images=images[split],
            samples=samples[split],
            asked=getattr(description.ratios, split),
            got_media=_share(media[split], media.total()),
            got_images=_share(images[split], images.total()),
        )
        for split in SPLITS
    }


def sources_of(manifest: Manifest, boxes: Mapping[str, int]) -> Sources:
    """Return where the images came from; `boxes` says how many each medium brought."""
    media = sorted(_media(_originals(manifest)), key=lambda one: (-one[2], one[0]))
    running = np.cumsum([images for _, _, images in media])
    return Sources(
        media=len(media),
        top=tuple(SourceFigures(medium=m, split=s, images=n, boxes=boxes.get(m, 0)) for m, s, n in media[:TOP]),
        half=int(np.searchsorted(running, running[-1] / 2)) + 1 if media else 0,
        alike=bool(media) and media[0][2] == media[-1][2],
    )


def variants_of(manifest: Manifest) -> tuple[VariantFigures, ...]:
    """Return for each variant how many boxes it kept of its originals'."""
    plain = manifest.table.select(["image", "variant", "boxes"])
    plain = plain.set_column(0, "image", plain["image"].combine_chunks().indices)
    of = plain.filter(pc.equal(plain["variant"], 0)).rename_columns({"boxes": "of"}).drop_columns(["variant"])
    made = plain.filter(pc.greater(plain["variant"], 0)).join(of, "image", join_type="inner")
    emptied = pc.and_(pc.equal(made["boxes"], 0), pc.greater(made["of"], 0)).cast(pa.int64())
    counted = made.append_column("emptied", emptied).group_by("variant")
    table = counted.aggregate([([], "count_all"), ("boxes", "sum"), ("of", "sum"), ("emptied", "sum")])
    return tuple(
        VariantFigures(
            variant=row["variant"],
            samples=row["count_all"],
            boxes=row["boxes_sum"],
            of=row["of_sum"],
            emptied=row["emptied_sum"],
        )
        for row in table.sort_by("variant").to_pylist()
    )


def _originals(manifest: Manifest) -> pa.Table:
    return manifest.table.filter(pc.equal(manifest.table["variant"], 0))


def _media(originals: pa.Table) -> list[tuple[str, Split, int]]:
    """Return (medium, split, images)."""
    table = originals.select(["medium", "split"]).group_by(["medium", "split"]).aggregate([([], "count_all")])
    medium, split = (table[column].cast(pa.string()).to_pylist() for column in ("medium", "split"))
    return list(zip(medium, split, table["count_all"].to_pylist(), strict=True))


def _counts(column: pa.ChunkedArray) -> Counter[str]:
    return Counter({one["values"]: one["counts"] for one in pc.value_counts(column.cast(pa.string())).to_pylist()})


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
