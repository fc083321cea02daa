"""From the annotation view and the archives to a dataset, as of a cut."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from labelstream.classes import ClassSchema
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.values import Position, Split
from labelstream.view import AnnotationView, Entry
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.index import BatchIndex, StoredContent
from labelstream_datasets.manifest import Manifest, Row
from labelstream_datasets.options import DatasetOptions
from labelstream_datasets.splits import split_of
from labelstream_datasets.store import BuiltDataset, store
from labelstream_datasets.tally import Tally

__all__ = ["BuiltDataset", "DatasetPlan", "build", "store"]


@dataclass(frozen=True)
class DatasetPlan:
    """Everything that decides a dataset's content: the same plan gives the same id."""

    project: str
    cut: int  # offset of `annotation-events`, inclusive
    recipe: str  # digest of the augmentation recipe
    class_schema: ClassSchema
    options: DatasetOptions = field(default_factory=DatasetOptions)


async def build(view: AnnotationView, index: BatchIndex, plan: DatasetPlan) -> BuiltDataset:
    """Build the dataset of `plan` in a thread: originals and variants to train on, originals alone for val and test.

    View and index must have read everything up to the cut; raises ValueError when they have not.
    """
    covered = index.coverage(plan.project, plan.recipe)
    if covered < plan.cut:
        raise ValueError(f"archives answer up to offset {covered}, not up to the cut {plan.cut}")
    if view.position is None or view.position < plan.cut:
        raise ValueError(f"the view has read up to offset {view.position}, not up to the cut {plan.cut}")
    return await asyncio.to_thread(assemble, view.validated(plan.project, at=plan.cut), index, plan)


def assemble(entries: Iterable[Entry], index: BatchIndex, plan: DatasetPlan) -> BuiltDataset:
    """Put the dataset together from the annotation that stands for each image.

    An image that could not be augmented is missing, and counted.
    """
    tally = Tally()
    manifest = Manifest.of(_rows(entries, index, plan, tally))
    description = DatasetDescription(
        id=manifest.id,
        project=plan.project,
        cut=Position(stream=ANNOTATION_EVENTS, offset=plan.cut),
        class_schema=plan.class_schema,
        recipe=plan.recipe,
        **dict(plan.options),
        counts=tally.counts(),
        missing=tally.missing,
    )
    return BuiltDataset(description, manifest)


def _rows(entries: Iterable[Entry], index: BatchIndex, plan: DatasetPlan, tally: Tally) -> Iterator[Row]:
    for entry in entries:
        annotation = entry.annotation
        content = annotation.image.sha256, annotation.labels
        stored = index.find(plan.project, plan.recipe, content, plan.cut)
        if stored is None:
            tally.missing += 1
            continue
        split = split_of(plan.project, annotation.medium, plan.options.salt, plan.options.ratios, annotation.split)
        rows = list(_samples(entry, stored, plan.recipe, split))
        tally.add(split, annotation.medium, annotation.shapes, len(rows))
        yield from rows


def _samples(entry: Entry, stored: StoredContent, recipe: str, split: Split) -> Iterator[Row]:
    for variant in stored.variants:
        if variant.variant and split != "train":
            continue
        yield Row(
            image=entry.annotation.image.sha256,
            labels=entry.annotation.labels,
            recipe=recipe,
            variant=variant.variant,
            split=split,
            name=entry.name,
            medium=entry.annotation.medium,
            archive=stored.archive.key,
            archive_sha256=stored.archive.sha256,
            archive_bytes=stored.archive.size_bytes,
            path=variant.path,
            boxes=variant.boxes,
            sha256=variant.sha256,
        )
