"""Giving classes the names that the project has for them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

import yaml

from labelstream.classes import ClassSchema
from labelstream.errors import Misconfigured
from labelstream_cli.importers.model import Imported, ImportedFolder, NamedBox, Problem

_FORM = "SOURCE=TARGET, such as car=Vehicle; car= drops the class"


@dataclass(frozen=True)
class UnknownClass:
    """A class of the source that the project's schema does not have."""

    name: str  # after mapping
    source: str  # as the source has it
    boxes: int
    close: tuple[str, ...]  # classes of the schema with a similar name


@dataclass(frozen=True)
class Mapped:
    """A folder whose classes bear their names in the project."""

    folder: ImportedFolder
    boxes: Mapping[str, int]  # by class, the most frequent first
    renamed: Mapping[str, str]  # source class → class, where they differ
    dropped: Mapping[str, int]  # source class → boxes
    unknown: tuple[UnknownClass, ...]
    unused: tuple[str, ...]  # rules for classes that the source does not have


@dataclass(frozen=True)
class ClassMap:
    """Source class, by name (case does not matter) or number → class, or None to drop its boxes."""

    rules: Mapping[str, str | None] = field(default_factory=dict)

    @classmethod
    def of(cls, file: Path | None, pairs: Iterable[str] = ()) -> ClassMap:
        """Read a YAML or JSON file, and pairs `SOURCE=TARGET`, which go first. Raises Misconfigured."""
        rules = _read(file) if file is not None else {}
        for pair in pairs:
            source, equals, target = pair.partition("=")
            if not equals or not source.strip():
                raise Misconfigured(f"--map {pair!r} is not of the form {_FORM}")
            rules[_folded(source)] = target.strip() or None
        return cls(rules)

    @property
    def numbered(self) -> bool:
        """Whether it names classes by their numbers."""
        return any(source.isdigit() for source in self.rules)

    def apply(self, folder: ImportedFolder, schema: ClassSchema | None) -> Mapped:
        """Rename and drop; where `schema` is known, take its spelling and say which classes it lacks."""
        known = {_folded(name): name for name in schema.classes} if schema is not None else {}
        targets = {source: self._target(source, folder, known) for source in _classes(folder)}
        images = tuple(replace(image, boxes=_renamed(image, targets)) for image in folder)
        dropped = [
            Problem(image.name, f"a box of {box.name} is dropped by the class map", "class dropped by the map")
            for image in folder
            for box in image.boxes
            if targets[box.name] is None
        ]
        classes = tuple(dict.fromkeys(target for name in folder.classes if (target := targets[name]) is not None))
        boxes = Counter(box.name for image in images for box in image.boxes)
        return Mapped(
            replace(folder, images=images, classes=classes, problems=(*folder.problems, *dropped)),
            dict(boxes.most_common()),
            {source: target for source, target in targets.items() if target not in (None, source)},
            Counter(box.name for image in folder for box in image.boxes if targets[box.name] is None),
            tuple(_unknown(schema, boxes, targets)) if schema is not None else (),
            tuple(self._unused(folder)),
        )

    def _target(self, source: str, folder: ImportedFolder, known: Mapping[str, str]) -> str | None:
        numbers = [str(number) for number, name in folder.class_ids.items() if name == source]
        for key in (_folded(source), *numbers):
            if key in self.rules:
                target = self.rules[key]
                return None if target is None else known.get(_folded(target), target)
        return known.get(_folded(source), source)

    def _unused(self, folder: ImportedFolder) -> Iterable[str]:
        there = {*map(_folded, _classes(folder)), *map(str, folder.class_ids)}
        return (source for source in self.rules if source not in there)


def _classes(folder: ImportedFolder) -> dict[str, None]:
    return dict.fromkeys([*folder.classes, *(box.name for image in folder for box in image.boxes)])


def _renamed(image: Imported, targets: Mapping[str, str | None]) -> tuple[NamedBox, ...]:
    return tuple(replace(box, name=target) for box in image.boxes if (target := targets[box.name]) is not None)


def _unknown(
    schema: ClassSchema, boxes: Mapping[str, int], targets: Mapping[str, str | None]
) -> Iterable[UnknownClass]:
    spelt = {_folded(name): name for name in schema.classes}
    for name, count in boxes.items():
        if schema.id_of(name) is None:
            close = get_close_matches(_folded(name), spelt, n=3)
            source = next(source for source, target in targets.items() if target == name)
            yield UnknownClass(name, source, count, tuple(spelt[one] for one in close))


def _read(path: Path) -> dict[str, str | None]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise Misconfigured(f"the class map {path} can't be read: {error.strerror}") from error
    except (UnicodeDecodeError, json.JSONDecodeError, yaml.YAMLError) as error:
        raise Misconfigured(f"the class map {path} is not valid: {error}") from error
    if not isinstance(content, dict) or not all(value is None or isinstance(value, str) for value in content.values()):
        raise Misconfigured(f"the class map {path} must be a table: source name or number → target name, or null")
    return {_folded(str(source)): target or None for source, target in content.items()}


def _folded(name: str) -> str:
    return name.strip().casefold()
