"""A class schema: what the class ids of a project mean. Data, versioned and append-only."""

from __future__ import annotations

import difflib
import functools
import json
import re
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, model_validator

from labelstream.errors import Misconfigured
from labelstream.values import Value, digest_of

_IN_MODE = re.compile(r"(?P<plain>.+?)\s*\((?P<mode>[^()]+)\)")
MAX_COMPARED = 200  # characters of a name that similar ones are looked for; the time grows with their square


class ClassSchema(Value):
    """The classes of a project, by id; an id is never given another meaning."""

    name: str
    version: int = 1
    classes: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        seen: set[str] = set()
        for name in self.classes:
            if _key(name) in seen:
                raise ValueError(f"the class name {name!r} stands twice")
            seen.add(_key(name))
        return self

    @property
    def digest(self) -> str:
        """The schema's identity: its name, version and classes."""
        return digest_of([self.name, self.version, list(self.classes)])

    def id_of(self, name: str) -> int | None:
        """Return the id of the class called `name` (case and outer spaces do not matter), or None."""
        return _ids(self.classes).get(_key(name))

    def similar(self, name: str, at_most: int = 3) -> tuple[str, ...]:
        """Return the classes whose names look like `name`, the likeliest first."""
        ids = _ids(self.classes)
        return tuple(
            self.classes[ids[key]] for key in difflib.get_close_matches(_key(name[:MAX_COMPARED]), ids, at_most)
        )

    def modes(self) -> dict[tuple[int, str], int]:
        """Return (class id, mode) → the id of that class in the mode: `Truck` in `Wint` is `Truck(Wint)`.

        A class without a name in brackets has no mode, or the one that is normal. One that has a mode stays what it is.
        """
        ids = _ids(self.classes)
        found: dict[tuple[int, str], int] = {}
        for class_id, name in enumerate(self.classes):
            match = _IN_MODE.fullmatch(name.strip())
            plain = ids.get(_key(match["plain"])) if match else None
            if match and plain is not None:
                found[plain, match["mode"].casefold()] = class_id
        return found

    def extends(self, older: ClassSchema) -> bool:
        """Say whether this schema only adds classes to `older`."""
        return self.classes[: len(older.classes)] == older.classes


def _key(name: str) -> str:
    return name.strip().casefold()


@functools.lru_cache(maxsize=64)
def _ids(classes: tuple[str, ...]) -> dict[str, int]:
    """Return the classes' ids by the keys of their names. Not a field: `model_copy` would take it along."""
    return {_key(name): i for i, name in enumerate(classes)}


def load_schema(path: Path) -> ClassSchema:
    """Read a schema from a JSON file: {"name": …, "version": 1, "classes": ["car", …]}.

    Raises Misconfigured with the path and what is wrong in it.
    """
    try:
        return ClassSchema.model_validate(json.loads(path.read_text()))
    except OSError as error:
        raise Misconfigured(f"the class schema {path} can't be read: {error.strerror}") from error
    except (json.JSONDecodeError, ValidationError) as error:
        raise Misconfigured(f"the class schema {path} is not valid: {error}") from error
