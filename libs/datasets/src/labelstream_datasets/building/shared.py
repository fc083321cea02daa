"""Annotations that are not in a dataset because another one stands for the same image."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from labelstream.values import Split
from labelstream.view import AnnotationView, Entry, Home
from labelstream_datasets.store import BuiltDataset

_AT_ONCE: Final = 1000  # names that the view is asked about before others have their turn


async def shared_images(
    view: AnnotationView, project: str, built: BuiltDataset, passed_over: Set[str]
) -> dict[str, int]:
    """Return the description's `shared_images` and `shared_other_split`.

    `passed_over`: annotations that stand for an image which the dataset does not take.
    """
    cut = built.description.cut.offset
    homes = view.homes(project, at=cut)
    others = await asyncio.to_thread(_others, homes, built, passed_over)
    found: list[Entry] = []
    for start in range(0, len(others), _AT_ONCE):
        names = others[start : start + _AT_ONCE]
        found += _counting(view, project, names, cut, unvalidated=not built.description.validated_only)
        await asyncio.sleep(0)
    standing = _standing(built, {entry.annotation.image.sha256 for entry in found})
    shared = [entry for entry in found if entry.annotation.image.sha256 in standing]
    other = 0
    if built.description.published_splits:
        said = {image: _published(view.entry(project, name, at=cut)) for image, name in standing.items()}
        other = sum(_published(one) not in (None, said[one.annotation.image.sha256]) for one in shared)
    return {"shared_images": len(shared), "shared_other_split": other}


def _others(homes: Iterable[Home], built: BuiltDataset, passed_over: Set[str]) -> list[str]:
    """Return the annotations that stand for no image, or count for nothing."""
    taken = set(built.manifest.table["name"].unique().to_pylist())
    names = dict.fromkeys(home.name for home in homes)
    return [name for name in names if name not in taken and name not in passed_over]


def _counting(
    view: AnnotationView, project: str, names: Sequence[str], cut: int, *, unvalidated: bool
) -> Iterator[Entry]:
    """Yield the annotations that counted at the cut; what did not change since is known without its content."""
    for name, now in view.statuses(project, names).items():
        if now.offset <= cut and (now.deleted or not (now.validated or unvalidated)):
            continue
        entry = view.entry(project, name, at=cut)
        if entry is not None and not entry.deleted and (entry.validated or unvalidated):
            yield entry


def _standing(built: BuiltDataset, images: Set[str]) -> dict[str, str]:
    """Return image → the annotation that stands for it, for those of the images that the dataset holds."""
    if not images:
        return {}
    table = built.manifest.table.select(["image", "name", "variant"]).filter(pc.field("variant") == 0)
    image, name = (table[column].cast(pa.string()) for column in ("image", "name"))
    wanted = pc.is_in(image, value_set=pa.array(sorted(images), pa.string()))
    return dict(zip(image.filter(wanted).to_pylist(), name.filter(wanted).to_pylist(), strict=True))


def _published(entry: Entry | None) -> Split | None:
    """Return the split that was published with this very annotation, whatever its medium's is."""
    return entry.annotation.split if entry else None
