"""What changed between the makings of two models: dataset, classes, recipe, libraries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from labelstream.trainings import JobState
from labelstream.values import SPLITS
from labelstream_cli.datasets.words import SHORT, option_in_words, some
from labelstream_cli.models.side import Side
from labelstream_datasets.checking.diff import differing_options

NONE = "–"


@dataclass(frozen=True)
class Change:
    """Something that is otherwise in B than in A."""

    group: str  # dataset, classes, recipe or libraries
    what: str
    a: str
    b: str


def changes_between(a: Side, b: Side) -> tuple[Change, ...]:
    """Return what differs, what decides most first."""
    return (*_dataset(a, b), *_classes(a, b), *_recipe(a.job, b.job), *_libraries(a, b))


def _dataset(a: Side, b: Side) -> Iterator[Change]:
    if a.state.exported.dataset_id == b.state.exported.dataset_id:
        return
    yield Change("dataset", "id", a.state.exported.dataset_id[:SHORT], b.state.exported.dataset_id[:SHORT])
    if a.dataset is None or b.dataset is None:
        return
    if a.dataset.cut.offset != b.dataset.cut.offset:
        yield Change("dataset", "annotated up to offset", f"{a.dataset.cut.offset:,}", f"{b.dataset.cut.offset:,}")
    for split in SPLITS:
        before, after = a.dataset.count(split), b.dataset.count(split)
        for what in ("images", "boxes"):
            old, new = getattr(before, what), getattr(after, what)
            if old != new:
                yield Change("dataset", f"{what} in {split}", f"{old:,}", f"{new:,} ({new - old:+,})")
    for field, (old, new) in differing_options(a.dataset, b.dataset).items():
        if field != "class_names":
            words = (option_in_words(field, value) for value in (old, new))
            yield Change("dataset", field.replace("_", " "), *words)


def _classes(a: Side, b: Side) -> Iterator[Change]:
    old, new = _names(a), _names(b)
    if old is None or new is None:
        return
    gone, come = [one for one in old if one not in new], [one for one in new if one not in old]
    if gone or come:
        yield Change("classes", "only there", some(gone, 8) or NONE, some(come, 8) or NONE)


def _names(side: Side) -> list[str] | None:
    schema = side.manifest.class_schema if side.manifest else side.dataset.class_schema if side.dataset else None
    return list(schema.classes) if schema else None


def _recipe(a: JobState | None, b: JobState | None) -> Iterator[Change]:
    if a is None or b is None:
        return
    old, new = _flat(a.requested.recipe), _flat(b.requested.recipe)
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            yield Change(
                "recipe", name.replace("_", " ").replace(".", ": "), _value(old.get(name)), _value(new.get(name))
            )
    begun = [each.requested.initial.id[:SHORT] if each.requested.initial else "random weights" for each in (a, b)]
    if begun[0] != begun[1]:
        yield Change("recipe", "began with", *begun)


def _flat(recipe: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in recipe.items():
        if isinstance(value, Mapping) and name != "architecture":  # a network given as data is one thing
            found |= _flat(value, f"{before}{name}.")
        else:
            found[f"{before}{name}"] = value
    return found


def _value(value: Any) -> str:
    if value is None:
        return NONE
    if isinstance(value, Mapping):
        return "a network given as data"
    return "yes" if value is True else "no" if value is False else str(value)


def _libraries(a: Side, b: Side) -> Iterator[Change]:
    if a.manifest is None or b.manifest is None:
        return
    old, new = a.manifest.versions, b.manifest.versions
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield Change("libraries", name, old.get(name, NONE), new.get(name, NONE))
