"""How what belongs to datasets is called on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from labelstream_datasets.checking.diff import unusual_options
from labelstream_datasets.options import DatasetOptions

SHORT = 12  # digits of an id
COLUMNS = "images, boxes and classes are counted on originals; samples with their variants, which only train has"


def when(time: datetime) -> str:
    """Tell a time in the zone of the terminal."""
    return f"{time.astimezone():%Y-%m-%d %H:%M}"


def count(number: int, noun: str) -> str:
    """Tell how many there are."""
    if number == 1:
        return f"1 {noun}"
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}es" if noun.endswith(("s", "x")) else f"{noun}s"
    return f"{number:,} {plural}"


def size(size_bytes: float) -> str:
    """Tell a size in decimal units."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "bytes" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def some(names: Sequence[str], most: int = 3) -> str:
    """Name the first few."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def options_in_words(options: DatasetOptions, *, lists: bool = False) -> str:
    """Tell the options that differ from the defaults; `lists`: published ones decided splits."""
    said = [_SAID[field](value) for field, value in unusual_options(options).items()]
    return ", ".join([*said, *(["splits by published lists"] if lists else [])])


def option_in_words(field: str, value: Any) -> str:
    """Tell one value of an option, or of something else that decides a dataset."""
    if value is None:
        return _NONE.get(field, "none")
    if field in _SAID:
        return _SAID[field](value)
    return value[:SHORT] if field in ("recipe", "published") else str(value)


def _ratios(value: Mapping[str, float]) -> str:
    shares = (value.get(split, 0) * 100 for split in ("train", "val", "test"))
    return "split " + "/".join(f"{share:.1f}".removesuffix(".0") for share in shares)


def _classes(value: Iterable[str]) -> str:
    return f"only {', '.join(value)}"


def _merged(value: Mapping[str, str]) -> str:
    return ", ".join(f"{old} as {new}" for old, new in value.items()) or "nothing merged"


_NONE = {"classes": "all classes", "most_per_source": "all of each source", "published": "no lists"}
_SAID: dict[str, Callable[[Any], str]] = {
    "ratios": _ratios,
    "salt": lambda value: f"salt {value}",
    "published_splits": lambda value: "splits as producers published them" if value else "producers' splits ignored",
    "validated_only": lambda value: "validated only" if value else "unvalidated too",
    "classes": _classes,
    "merge": _merged,
    "min_box_area_percent": lambda value: f"boxes from {value:g} % of the image",
    "drop_empty": lambda value: "without images that have no box" if value else "with images that have no box",
    "most_per_source": lambda value: f"at most {value} images of a source",
}
