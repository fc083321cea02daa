"""Class schemas that are shipped, as data."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from labelstream.classes import ClassSchema, load_schema
from labelstream.errors import Misconfigured


def names() -> list[str]:
    """Return the names of the shipped schemas."""
    return sorted(
        entry.name.removesuffix(".json") for entry in files(__name__).iterdir() if entry.name.endswith(".json")
    )


def load_named_schema(name_or_path: str) -> ClassSchema:
    """Load a shipped schema by its name, or one's own by the path of its JSON file.

    Raises Misconfigured with what is wrong, or with the names that there are.
    """
    if name_or_path in names():
        with as_file(files(__name__) / f"{name_or_path}.json") as path:
            return load_schema(path)
    path = Path(name_or_path)
    if path.suffix == ".json" or path.exists():
        return load_schema(path)
    raise Misconfigured(
        f"there is no class schema {name_or_path!r}: shipped are {', '.join(names())}; or give the path of a .json file"
    )
