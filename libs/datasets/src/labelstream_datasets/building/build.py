"""From the annotation view and the archives to a dataset, as of a cut."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from labelstream.blobs.ports import Blobs
from labelstream.classes import ClassSchema
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.values import Position, Split, digest_of
from labelstream.view import AnnotationView, Entry, Home
from labelstream_datasets.archives.originals import ORIGINALS, Content, Packer
from labelstream_datasets.building.index import BatchIndex, StoredContent, StoredVariant
from labelstream_datasets.building.published import Placement, Published
from labelstream_datasets.building.selection import Capped, Selection
from labelstream_datasets.building.shared import shared_images
from labelstream_datasets.building.tally import Tally
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.manifest import Manifest, Row
from labelstream_datasets.options import DatasetOptions, LabelRules, rules_digest
from labelstream_datasets.store import BuiltDataset, store

__all__ = ["BuiltDataset", "DatasetPlan", "assemble", "build", "plan_of", "store"]


@dataclass(frozen=True)
class DatasetPlan:
    """Everything that decides a dataset's content: the same plan gives the same id."""

    project: str
    cut: int  # offset of `annotation-events`, inclusive
    recipe: str  # digest of the augmentation recipe
    class_schema: ClassSchema  # the project's, as recorded: ids keep their meaning, so it covers every cut
    options: DatasetOptions = field(default_factory=DatasetOptions)
    published: Published = field(default_factory=dict)


def plan_of(description: DatasetDescription, published: Published | None = None) -> DatasetPlan:
    """Return the plan that a dataset was built by; `published` are the lists that its description refers to."""
    return DatasetPlan(
        project=description.project,
        cut=description.cut.offset,
        recipe=description.recipe,
        class_schema=description.project_schema or description.class_schema,
        options=DatasetOptions.model_validate(description.model_dump(include=set(DatasetOptions.model_fields))),
        published=published or {},
    )


async def build(view: AnnotationView, index: BatchIndex, plan: DatasetPlan, blobs: Blobs | None = None) -> BuiltDataset:
    """Build the dataset of `plan`: originals and variants to train on, originals alone for val and test.

    View and index must have read everything up to the cut. Unvalidated originals are packed into archives, in
    `blobs`, which only they need. Raises ValueError when one of these lacks, Misconfigured when an option names a
    class that is none or lists contradict each other, Unavailable.
    """
    covered = index.coverage(plan.project, plan.recipe)
    if covered < plan.cut:
        raise ValueError(f"archives answer up to offset {covered}, not up to the cut {plan.cut}")
    if view.position is None or view.position < plan.cut:
        raise ValueError(f"the view has read up to offset {view.position}, not up to the cut {plan.cut}")
    selection = await _selection(view, index, plan)
    originals = await _originals(view, plan, selection, blobs)
    tally = Tally()
    built = await asyncio.to_thread(assemble, _entries(view, plan), index, plan, selection, originals, tally)
    shared = await shared_images(view, plan.project, built, tally.passed_over)
    return replace(built, description=built.description.model_copy(update=shared))


def assemble(
    entries: Iterable[Entry],
    index: BatchIndex,
    plan: DatasetPlan,
    selection: Selection | None = None,
    originals: Mapping[Content, StoredContent] | None = None,
    tally: Tally | None = None,
) -> BuiltDataset:
    """Put the dataset together from the annotation that stands for each image.

    An image that could not be augmented is missing, and counted. Without a `selection`, plans that need to know all
    annotations before they can decide about one (lists, a cap) are not done justice.
    """
    tally, selection = tally or Tally(), selection or selection_of(plan)
    manifest = Manifest.of_images(_images(entries, _Archives(index, plan, originals or {}), selection, tally))
    rules = rules_digest(plan.options)
    project_schema = None if selection.rules.class_schema == plan.class_schema else plan.class_schema
    description = DatasetDescription(
        id=manifest.id if rules is None else digest_of([rules, manifest.id]),
        project=plan.project,
        cut=Position(stream=ANNOTATION_EVENTS, offset=plan.cut),
        class_schema=selection.rules.class_schema,
        project_schema=project_schema,
        recipe=plan.recipe,
        **dict(plan.options),
        published_unknown=selection.placement.unknown,
        published_left_test=selection.placement.left_test,
        published_images=tally.published,
        listed_images=tally.listed,
        emptied_images=tally.emptied,
        counts=tally.counts(),
        missing=tally.missing,
    )
    return BuiltDataset(description, manifest, plan.published)


async def _selection(view: AnnotationView, index: BatchIndex, plan: DatasetPlan) -> Selection:
    """Find out what must be known of all annotations before one of them can be decided about."""
    selection = selection_of(plan)
    if plan.published:
        homes = _homes(view, plan)
        placement = await asyncio.to_thread(Placement.of, plan.published, homes, selection.dealt)
        selection = replace(selection, placement=placement)
    if plan.options.most_per_source is not None:
        archives = _Archives(index, plan, {})
        there = (one for one in _entries(view, plan) if selection.wants(one) and archives.may_hold(one))
        capped = await asyncio.to_thread(Capped.of, there, plan.options.most_per_source, plan.options.salt)
        selection = replace(selection, capped=capped)
    return selection


def _homes(view: AnnotationView, plan: DatasetPlan) -> Iterator[Home]:
    for home in view.homes(plan.project, at=plan.cut):
        yield home if plan.options.published_splits else home._replace(split=None)


def selection_of(plan: DatasetPlan) -> Selection:
    """Return what decides about images one by one. Raises Misconfigured when an option names a class that is none."""
    return Selection(plan.project, plan.options, LabelRules.of(plan.options, plan.class_schema))


async def _originals(
    view: AnnotationView, plan: DatasetPlan, selection: Selection, blobs: Blobs | None
) -> Mapping[Content, StoredContent]:
    """Pack what is wanted of the unvalidated."""
    if plan.options.validated_only:
        return {}
    if blobs is None:
        raise ValueError("unvalidated originals are packed into archives: say in which store")
    wanted = (entry for entry in _entries(view, plan) if not entry.validated and selection.wants(entry))
    return await Packer(plan.project, blobs).pack(wanted)


def _entries(view: AnnotationView, plan: DatasetPlan) -> Iterator[Entry]:
    return view.standing(plan.project, at=plan.cut, unvalidated=not plan.options.validated_only)


@dataclass(frozen=True)
class _Archives:
    """Where the samples of an image lie."""

    index: BatchIndex
    plan: DatasetPlan
    originals: Mapping[Content, StoredContent]

    def recipe(self, entry: Entry) -> str:
        return self.plan.recipe if entry.validated else ORIGINALS

    def find(self, entry: Entry) -> StoredContent | None:
        content = entry.annotation.image.sha256, entry.annotation.labels
        if not entry.validated:
            return self.originals.get(content)
        return self.index.find(self.plan.project, self.plan.recipe, content, self.plan.cut)

    def may_hold(self, entry: Entry) -> bool:
        """Say whether an image is known to lie somewhere, or is still to be packed."""
        return not entry.validated or self.find(entry) is not None


def _images(
    entries: Iterable[Entry], archives: _Archives, selection: Selection, tally: Tally
) -> Iterator[tuple[Row, Sequence[StoredVariant]]]:
    for entry in entries:
        shapes = selection.shapes(entry)
        if shapes is None or not selection.has_room_for(entry):
            tally.passed_over.add(entry.name)
            continue
        stored = archives.find(entry)
        if stored is None:
            tally.missing += 1
            tally.passed_over.add(entry.name)
            continue
        split = selection.split(entry)
        samples = [one for one in stored.variants if split == "train" or one.variant == 0]
        tally.add(split, entry.annotation.medium, shapes, len(samples))
        tally.published += selection.published(entry) is not None
        tally.listed += selection.is_listed(entry)
        tally.emptied += bool(entry.annotation.shapes and not shapes)
        if samples:
            yield _row(entry, stored, samples[0], archives.recipe(entry), split), samples


def _row(entry: Entry, stored: StoredContent, sample: StoredVariant, recipe: str, split: Split) -> Row:
    return Row(
        image=entry.annotation.image.sha256,
        labels=entry.annotation.labels,
        recipe=recipe,
        variant=sample.variant,
        split=split,
        name=entry.name,
        medium=entry.annotation.medium,
        archive=stored.archive.key,
        archive_sha256=stored.archive.sha256,
        archive_bytes=stored.archive.size_bytes,
        path=sample.path,
        boxes=sample.boxes,
        sha256=sample.sha256,
        phash=stored.phash,
    )
