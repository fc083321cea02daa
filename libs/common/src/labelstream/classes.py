"""A class schema: what the class ids of a project mean. Data, versioned and append-only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, model_validator

from labelstream.errors import Misconfigured
from labelstream.values import Value, digest_of


class ClassSchema(Value):
    """The classes of a project, by id; an id is never given another meaning."""

    name: str
    version: int = 1
    classes: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        seen: set[str] = set()
        for name in self.classes:
            if name.casefold() in seen:
                raise ValueError(f"the class name {name!r} stands twice")
            seen.add(name.casefold())
        return self

    @property
    def digest(self) -> str:
        """The schema's identity: its name, version and classes."""
        return digest_of([self.name, self.version, list(self.classes)])

    def id_of(self, name: str) -> int | None:
        """Return the id of the class called `name` (case does not matter), or None."""
        wanted = name.strip().casefold()
        return next((i for i, known in enumerate(self.classes) if known.casefold() == wanted), None)

    def extends(self, older: ClassSchema) -> bool:
        """Say whether this schema only adds classes to `older`."""
        return self.classes[: len(older.classes)] == older.classes


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
