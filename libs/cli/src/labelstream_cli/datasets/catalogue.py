"""The datasets that are stored: which there are, what they say of themselves, and which of them are kept."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime

from labelstream import keys
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.values import FileRef
from labelstream_cli.datasets.place import Place
from labelstream_cli.running import CommandFailed
from labelstream_datasets.description import DESCRIPTION, DatasetDescription

KEPT = "kept"
SHOWN_DIGITS = 12
_FEWEST_DIGITS = 4
_AT_ONCE = 8
_MOST_CANDIDATES = 8


@dataclass(frozen=True)
class Kept:
    """The mark of a dataset that was built by hand."""

    name: str | None = None


@dataclass(frozen=True)
class Stored:
    """A stored dataset."""

    id: str
    made: datetime
    file: FileRef  # its dataset.json
    description: DatasetDescription
    kept: Kept | None


@dataclass(frozen=True)
class Catalogue:
    """The stored datasets of a project, the oldest first; and those whose description can't be read."""

    datasets: tuple[Stored, ...]
    unreadable: tuple[str, ...]  # their ids


async def catalogue(place: Place) -> Catalogue:
    """Read the descriptions of all stored datasets. Raises Unavailable."""
    found = await _listed(place.blobs, place.project)
    gate = asyncio.Semaphore(_AT_ONCE)
    done = 0

    async def read(dataset_id: str, made: datetime, kept: bool) -> Stored | None:
        nonlocal done
        async with gate:
            stored = await _read(place.blobs, place.project, dataset_id, made, kept=kept)
        done += 1
        place.tell("datasets", done, len(found))
        return stored

    ids = [one for one, (made, _) in found.items() if made is not None]
    stored = await asyncio.gather(*(read(one, made, kept) for one, (made, kept) in found.items() if made is not None))
    readable = sorted((one for one in stored if one is not None), key=lambda one: (one.made, one.id))
    unreadable = sorted(one for one, read_as in zip(ids, stored, strict=True) if read_as is None)
    return Catalogue(tuple(readable), tuple(unreadable))


async def chosen(place: Place, prefix: str) -> Stored:
    """Return the dataset whose id begins with `prefix`.

    Raises CommandFailed when there is none, when there are several, and when its description can't be read.
    """
    digits = prefix.strip().lower().rstrip("….")
    if not re.fullmatch(r"[0-9a-f]{4,64}", digits):
        raise CommandFailed(
            f"{prefix!r} does not name a dataset: give at least {_FEWEST_DIGITS} hexadecimal digits of its id, as "
            "`labelstream dataset list` shows them"
        )
    found = await _listed(place.blobs, place.project, digits)
    ids = [one for one, (made, _) in found.items() if made is not None]
    if not ids:
        every = await _listed(place.blobs, place.project)
        raise CommandFailed(_unknown(place.project, digits, [one for one, (made, _) in every.items() if made]))
    if len(ids) > 1:
        raise CommandFailed(f"{digits} may be any of {len(ids)} datasets: {_candidates(ids, len(digits))}")
    made, kept = found[ids[0]]
    stored = await _read(place.blobs, place.project, ids[0], made, kept=kept) if made else None
    if stored is None:
        key = keys.dataset(place.project, ids[0], DESCRIPTION)
        raise CommandFailed(f"{key} can't be read: it is gone, or not what a builder of datasets writes")
    return stored


async def keep(blobs: Blobs, project: str, dataset_id: str, name: str | None) -> Kept:
    """Mark a dataset as kept; one that was marked gets the new name, if there is one. Return the mark."""
    key = keys.dataset(project, dataset_id, KEPT)
    content = json.dumps({} if name is None else {"name": name}, ensure_ascii=False).encode()
    if await blobs.create(key, content) is None:
        if name is None:
            return await _mark(blobs, project, dataset_id) or Kept()
        await blobs.put(key, content)
    return Kept(name)


async def forget(blobs: Blobs, project: str, dataset_id: str) -> None:
    """Take the mark away."""
    await blobs.delete(keys.dataset(project, dataset_id, KEPT))


async def _listed(blobs: Blobs, project: str, digits: str = "") -> dict[str, tuple[datetime | None, bool]]:
    """Return id → when it was made (None: it has no description), and whether it is kept."""
    made: dict[str, datetime] = {}
    kept: set[str] = set()
    async for dataset_id, name, when in _objects(blobs, project, digits):
        if name == DESCRIPTION:
            made[dataset_id] = when
        elif name == KEPT:
            kept.add(dataset_id)
    return {one: (made.get(one), one in kept) for one in sorted({*made, *kept})}


async def _objects(blobs: Blobs, project: str, digits: str) -> AsyncIterator[tuple[str, str, datetime]]:
    start = keys.datasets(project)
    async for info in blobs.list(f"{start}{digits}"):
        dataset_id, _, name = info.key.removeprefix(start).partition("/")
        yield dataset_id, name, info.modified


async def _read(blobs: Blobs, project: str, dataset_id: str, made: datetime, *, kept: bool) -> Stored | None:
    key = keys.dataset(project, dataset_id, DESCRIPTION)
    try:
        data = (await blobs.get(key)).data
        description = DatasetDescription.from_json(data)
    except (BlobNotFound, ValueError):  # pydantic's errors are ValueErrors
        return None
    mark = await _mark(blobs, project, dataset_id) if kept else None
    return Stored(dataset_id, made, FileRef.of(key, data), description, mark)


async def _mark(blobs: Blobs, project: str, dataset_id: str) -> Kept | None:
    try:
        said = json.loads((await blobs.get(keys.dataset(project, dataset_id, KEPT))).data or b"{}")
    except BlobNotFound:
        return None
    except ValueError:
        return Kept()  # whoever wrote it meant to keep the dataset
    name = said.get("name") if isinstance(said, dict) else None
    return Kept(name if isinstance(name, str) else None)


def _unknown(project: str, digits: str, ids: list[str]) -> str:
    if not ids:
        return f"the project {project} has no dataset yet: `labelstream dataset build` makes one"
    return f"the project {project} has no dataset {digits}; it has {_candidates(ids, 0)}"


def _candidates(ids: Iterable[str], digits: int) -> str:
    """List ids, with enough digits to tell them apart."""
    every = sorted(ids)
    short = next(n for n in (max(digits + 2, SHOWN_DIGITS), 24, 64) if len({one[:n] for one in every}) == len(every))
    more = f" and {len(every) - _MOST_CANDIDATES} more" if len(every) > _MOST_CANDIDATES else ""
    return ", ".join(one[:short] for one in every[:_MOST_CANDIDATES]) + more
