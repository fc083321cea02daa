"""What changed between two datasets: images, labels, splits, classes, and how they were built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from labelstream.values import SPLITS, Position, Sha256, Split, Value
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.manifest import Manifest, Row
from labelstream_datasets.options import DatasetOptions
from labelstream_datasets.store import BuiltDataset

_DECIDE_SPLITS = ("ratios", "salt", "published", "published_splits")


class ChangedImage(Value):
    """An image that one of the datasets holds, or both in different ways."""

    image: Sha256
    name: str  # of the annotation, in the newer dataset that has it
    medium: str
    before: Split | None
    after: Split | None
    name_before: str | None = None  # of the annotation in the older dataset, if both hold the image

    @classmethod
    def of(cls, old: Row | None, new: Row | None) -> Self:
        """Say where an image was and where it is."""
        row = new or old
        if row is None:
            raise ValueError("an image that neither dataset holds")
        before, after = old.split if old else None, new.split if new else None
        return cls(
            image=row.image,
            name=row.name,
            medium=row.medium,
            before=before,
            after=after,
            name_before=old.name if old and new else None,
        )


class ClassCount(Value):
    """How many originals of a split show a class."""

    split: Split
    name: str
    before: int
    after: int


class Difference(Value):
    """From an older dataset to a newer one."""

    old: Sha256
    new: Sha256
    old_cut: Position
    new_cut: Position
    options: dict[str, tuple[Any, Any]]  # what differs: before and after; the recipe and the classes among it
    added: tuple[ChangedImage, ...]
    removed: tuple[ChangedImage, ...]
    relabelled: tuple[ChangedImage, ...]
    moved: tuple[ChangedImage, ...]  # to another split
    renamed: tuple[ChangedImage, ...] = ()  # its labels are the same, the annotation that stands for it is another
    revaried: int  # images of both with the same name and labels in the same split, but other variants
    same: int  # images of both with the same name, labels and variants in the same split
    classes: tuple[ClassCount, ...]

    @property
    def identical(self) -> bool:
        """Whether they are one and the same."""
        return self.old == self.new

    @property
    def splits_decided_alike(self) -> bool:
        """Whether both were split by the same ratios, salt and lists, and heeded producers alike."""
        return not any(field in self.options for field in _DECIDE_SPLITS)

    @property
    def leaking(self) -> tuple[ChangedImage, ...]:
        """The images that moved although both were split alike: what one trained on, the other may test on."""
        return self.moved if self.splits_decided_alike else ()


def compare(old: BuiltDataset, new: BuiltDataset) -> Difference:
    """Say what changed from `old` to `new`. An image is known by its digest; each stands once in a dataset."""
    before, after = originals(old.manifest), originals(new.manifest)
    both = before.keys() & after.keys()
    relabelled = {image for image in both if before[image].labels != after[image].labels}
    moved = {image for image in both if before[image].split != after[image].split}
    renamed = {image for image in both - relabelled if _owner(before[image]) != _owner(after[image])}
    unchanged = both - relabelled - moved - renamed
    variants = _variants(old.manifest), _variants(new.manifest)
    revaried = sum(variants[0][image] != variants[1][image] for image in unchanged)
    return Difference(
        old=old.description.id,
        new=new.description.id,
        old_cut=old.description.cut,
        new_cut=new.description.cut,
        options=differing_options(old.description, new.description),
        added=_changed(before, after, after.keys() - before.keys()),
        removed=_changed(before, after, before.keys() - after.keys()),
        relabelled=_changed(before, after, relabelled),
        moved=_changed(before, after, moved),
        renamed=_changed(before, after, renamed),
        revaried=revaried,
        same=len(unchanged) - revaried,
        classes=tuple(_class_counts(old.description, new.description)),
    )


def originals(manifest: Manifest) -> dict[str, Row]:
    """Return the row of each image's original, by the image's digest."""
    chosen = manifest.table.filter(pc.equal(manifest.table["variant"], 0))
    return {row.image: row for row in map(Row, *(_values(chosen[field]) for field in Row._fields))}


def differing_options(old: DatasetDescription, new: DatasetDescription) -> dict[str, tuple[Any, Any]]:
    """Return what decides a dataset, where it differs: field → before, after."""
    before, after = _decisive(old), _decisive(new)
    return {field: (before[field], after[field]) for field in before if before[field] != after[field]}


def unusual_options(options: DatasetOptions) -> dict[str, Any]:
    """Return the options that differ from the defaults."""
    usual = DatasetOptions().model_dump(mode="json")
    chosen = options.model_dump(mode="json", include=set(DatasetOptions.model_fields))
    return {field: value for field, value in chosen.items() if value != usual[field]}


def _owner(row: Row) -> tuple[str, str]:
    return row.name, row.medium


def _decisive(description: DatasetDescription) -> dict[str, Any]:
    published = description.published.sha256 if description.published else None
    return {
        **description.model_dump(mode="json", include=set(DatasetOptions.model_fields)),
        "project": description.project,
        "published": published,
        "recipe": description.recipe,
        "class_names": list(description.class_schema.classes),
    }


def _variants(manifest: Manifest) -> dict[str, tuple[str, int]]:
    """Return image → the recipe of its variants, and how many there are beside the original."""
    counted = manifest.table.group_by(["image", "recipe"]).aggregate([("variant", "count")])
    columns = (_values(counted[name]) for name in ("image", "recipe", "variant_count"))
    return {image: (recipe, count) for image, recipe, count in zip(*columns, strict=True)}


def _values(column: pa.ChunkedArray) -> list[Any]:
    shared = pa.types.is_dictionary(column.type)  # whose values are fetched one by one otherwise
    return list((column.cast(pa.string()) if shared else column).to_pylist())


def _changed(before: Mapping[str, Row], after: Mapping[str, Row], images: Iterable[str]) -> tuple[ChangedImage, ...]:
    found = [ChangedImage.of(before.get(image), after.get(image)) for image in images]
    return tuple(sorted(found, key=lambda one: (one.name, one.image)))


def _class_counts(old: DatasetDescription, new: DatasetDescription) -> Iterator[ClassCount]:
    names = list(dict.fromkeys([*old.class_schema.classes, *new.class_schema.classes]))
    for split in SPLITS:
        before, after = _by_name(old, split), _by_name(new, split)
        for name in names:
            if before[name] or after[name]:
                yield ClassCount(split=split, name=name, before=before[name], after=after[name])


def _by_name(description: DatasetDescription, split: Split) -> Counter[str]:
    classes = description.class_schema.classes
    return Counter({classes[number]: count for number, count in description.count(split).class_images.items()})
