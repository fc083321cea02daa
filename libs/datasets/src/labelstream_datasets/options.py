"""What a dataset takes of a project: splits, classes, boxes, and how much of each source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Self

from pydantic import Field, field_validator, model_validator

from labelstream.classes import ClassSchema
from labelstream.errors import Misconfigured
from labelstream.labels import Shape
from labelstream.values import Value, digest_of
from labelstream_datasets.splits import Ratios


class DatasetOptions(Value):
    """What a dataset takes; the defaults take every validated annotation as it is."""

    ratios: Ratios = Ratios()
    salt: str = Field("labelstream", description="another one draws other splits")
    published_splits: bool = Field(
        True, description="media keep the split that their producer published; else ratios and salt apply to all"
    )
    validated_only: bool = Field(True, description="else unvalidated annotations too, without variants")
    classes: tuple[str, ...] | None = Field(None, description="only these, by name, after merging; null: all")
    merge: Mapping[str, str] = Field(
        default_factory=dict, description="class name → the name of the class that takes it; may be a new one"
    )
    min_box_area_percent: float = Field(0, ge=0, le=100, description="of the image; a smaller box is left out")
    drop_empty: bool = Field(False, description="leave out images that have no box, or have none left")
    most_per_source: int | None = Field(None, ge=1, description="images of one medium; the same ones every time")

    @field_validator("ratios", mode="before")
    @classmethod
    def _shares_are_some(cls, given: object) -> object:
        """Say in words what is wrong with shares that are numbers; what is no number at all is read by Ratios."""
        shares = given.split("/") if isinstance(given, str) else given
        if isinstance(shares, list | tuple):
            _check_shares(given, shares)
        return given

    @model_validator(mode="after")
    def _merges_end(self) -> Self:
        merged: dict[str, str] = {}  # key → as it is spelled
        for name, target in self.merge.items():
            if not target.strip():
                raise ValueError(f"{name!r} is merged into a class without a name")
            if merged.setdefault(_key(name), name) != name:
                raise ValueError(f"{merged[_key(name)]!r} and {name!r} are one class: merge it once")
        chained = sorted(merged.keys() & set(map(_key, self.merge.values())))
        if chained:
            name = merged[chained[0]]
            raise ValueError(f"{name!r} is merged into another class, and another one into it: name the last one")
        return self


@dataclass(frozen=True)
class LabelRules:
    """What becomes of a project's labels in a dataset: class ids, and which boxes stay."""

    class_schema: ClassSchema  # of the dataset
    ids: tuple[int | None, ...]  # the project's class id → the dataset's; None: its boxes are left out
    min_box_area: float  # as a fraction of the image

    @classmethod
    def of(cls, options: DatasetOptions, schema: ClassSchema) -> LabelRules:
        """Apply the options to a project's class schema. Raises Misconfigured for a class that it lacks."""
        for name in options.merge:
            if schema.id_of(name) is None:
                raise Misconfigured(_unknown(schema.classes, name, "merge"))
        merge = {_key(old): new for old, new in options.merge.items()}
        targets = [merge.get(_key(name), name) for name in schema.classes]
        classes = _taken(targets, options.classes)
        known = {_key(name): number for number, name in enumerate(classes)}
        ids = tuple(known.get(_key(target)) for target in targets)
        same = classes == list(schema.classes)
        derived = schema if same else schema.model_copy(update={"classes": tuple(classes)})
        return cls(derived, ids, options.min_box_area_percent / 100)

    @property
    def changes_nothing(self) -> bool:
        """Whether labels stay as they are."""
        return self.ids == tuple(range(len(self.ids))) and self.min_box_area == 0

    def apply(self, shapes: Iterable[Shape]) -> tuple[Shape, ...]:
        """Return the shapes as the dataset has them."""
        if self.changes_nothing:
            return tuple(shapes)
        return tuple(
            shape.model_copy(update={"class_id": new_id})
            for shape in shapes
            if (new_id := self.ids[shape.class_id]) is not None and shape.w * shape.h >= self.min_box_area
        )

    def apply_lines(self, lines: str) -> str:
        """Return the lines of a YOLO label file as the dataset has them."""
        if self.changes_nothing:
            return lines
        kept: list[str] = []
        for line in lines.splitlines():
            class_id, x, y, w, h = line.split()
            new_id = self.ids[int(class_id)]
            if new_id is not None and float(w) * float(h) >= self.min_box_area:
                kept.append(f"{new_id} {x} {y} {w} {h}\n")
        return "".join(kept)


def rules_digest(options: DatasetOptions) -> str | None:
    """Return what tells label rules apart; None when labels stay as they are. Classes added later do not matter."""
    if options.classes is None and not options.merge and options.min_box_area_percent == 0:
        return None
    classes = None if options.classes is None else sorted(set(map(_key, options.classes)))
    merge = sorted([_key(old), _key(new)] for old, new in options.merge.items())
    return digest_of([classes, merge, float(options.min_box_area_percent)])  # read back from JSON, 0 is 0.0


def _check_shares(given: object, shares: Iterable[object]) -> None:
    try:
        numbers = [float(str(share)) for share in shares]
    except ValueError:
        return
    for number in numbers:
        if not isfinite(number):
            raise ValueError(f"{given!r} has the share {number}: write three numbers such as 70/20/10")
        if number < 0:
            raise ValueError(f"{given!r} has the share {number:g}: a share is 0 or more")
    if not any(numbers):
        raise ValueError(f"{given!r} gives no split anything: at least one share must be above 0")


def _taken(targets: list[str], wanted: tuple[str, ...] | None) -> list[str]:
    """Return the dataset's classes, in the order of the project's. Raises Misconfigured."""
    first: dict[str, str] = {}  # one spelling of each
    for target in targets:
        first.setdefault(_key(target), target)
    if wanted is None:
        return list(first.values())
    if not wanted:
        raise Misconfigured("classes is empty: name at least one class, or leave it out to take all")
    for name in wanted:
        if _key(name) not in first:
            raise Misconfigured(_unknown(tuple(first.values()), name, "classes"))
    keys = {_key(name) for name in wanted}
    return [name for key, name in first.items() if key in keys]


def _key(name: str) -> str:
    return name.strip().casefold()


def _unknown(classes: tuple[str, ...], name: str, where: str) -> str:
    similar = ClassSchema(name="known", classes=classes).similar(name)
    hint = f"did you mean {' or '.join(similar)}?" if similar else f"known are {', '.join(classes[:20])}"
    return f"{where} names {name!r}, which is no class of the project: {hint}"
