"""The datasets that are stored: which there are, what they say of themselves, and which of them are kept."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from labelstream import keys
from labelstream.blobs.ports import BlobChanged, BlobNotFound, Blobs
from labelstream.values import FileRef
from labelstream_cli.datasets.place import Place
from labelstream_cli.datasets.words import some
from labelstream_cli.running import CommandFailed
from labelstream_datasets.description import DESCRIPTION, DatasetDescription

KEPT = "kept"
SHOWN_DIGITS = 12
_FEWEST_DIGITS = 4
_AT_ONCE = 8
_MOST_CANDIDATES = 8


@dataclass(frozen=True)
class Kept:
    """The mark of a dataset that was built by hand, with the names that people gave it."""

    names: tuple[str, ...] = ()  # the newest last

    @property
    def name(self) -> str | None:
        """The newest name."""
        return self.names[-1] if self.names else None

    def to_json(self) -> bytes:
        """Return the content of the mark."""
        return json.dumps({"names": self.names} if self.names else {}, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Kept:
        """Read a mark. One that says something else has no names: whoever wrote it meant to keep the dataset."""
        try:
            said = json.loads(data or b"{}")
        except ValueError:
            return cls()
        if not isinstance(said, dict):
            return cls()
        names = said.get("names", [said.get("name")])  # older marks have one name
        return cls(tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else ())


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


async def chosen(place: Place, told: str) -> Stored:
    """Return the dataset of which `told` is a name, or else the beginning of the id.

    Raises CommandFailed when there is none, when there are several, and when its description can't be read.
    """
    found = await _listed(place.blobs, place.project)
    names = await _names(place, found)
    made = [one for one, (when, _) in found.items() if when is not None]
    ids = [one for one in made if told.strip() in names.get(one, ())]
    if len(ids) > 1:
        raise CommandFailed(
            f"{told!r} is the name of {len(ids)} datasets: {_candidates(ids, 0)}. Give digits of an id, or take the "
            f"name from one of them: `labelstream dataset forget ID --name {told.strip()!r}`"
        )
    dataset_id = ids[0] if ids else _by_digits(place.project, told, made, names)
    when, kept = found[dataset_id]
    stored = await _read(place.blobs, place.project, dataset_id, when, kept=kept) if when else None
    if stored is None:
        key = keys.dataset(place.project, dataset_id, DESCRIPTION)
        raise CommandFailed(f"{key} can't be read: it is gone, or not what a builder of datasets writes")
    return stored


def _by_digits(project: str, told: str, ids: list[str], names: Mapping[str, Sequence[str]]) -> str:
    digits = told.strip().lower().rstrip("….")
    if not re.fullmatch(r"[0-9a-f]{4,64}", digits):
        known = sorted({name for one in ids for name in names.get(one, ())})
        named = f"the names here are {some(known, _MOST_CANDIDATES)}" if known else "none has a name here"
        raise CommandFailed(
            f"{told!r} does not name a dataset ({named}): give a name, or at least {_FEWEST_DIGITS} hexadecimal digits "
            "of an id, as `labelstream dataset list` shows them"
        )
    found = [one for one in ids if one.startswith(digits)]
    if not found:
        raise CommandFailed(_unknown(project, digits, ids))
    if len(found) > 1:
        raise CommandFailed(f"{digits} may be any of {len(found)} datasets: {_candidates(found, len(digits))}")
    return found[0]


async def _names(place: Place, found: Mapping[str, tuple[datetime | None, bool]]) -> dict[str, tuple[str, ...]]:
    """Return the names of the kept datasets."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def read(dataset_id: str) -> tuple[str, ...]:
        async with gate:
            mark = await _mark(place.blobs, place.project, dataset_id)
        return mark[0].names if mark else ()

    ids = [one for one, (_, kept) in found.items() if kept]
    return dict(zip(ids, await asyncio.gather(*map(read, ids)), strict=True))


async def keep(blobs: Blobs, project: str, dataset_id: str, name: str | None) -> Kept:
    """Mark a dataset as kept, and add the name to those that it has. Return the mark."""
    given = (name.strip(),) if name and name.strip() else ()
    while True:
        found = await _mark(blobs, project, dataset_id)
        if found is None:
            kept = Kept(given)
            if await blobs.create(keys.dataset(project, dataset_id, KEPT), kept.to_json()) is not None:
                return kept
            continue  # somebody else was faster
        kept = Kept((*(one for one in found[0].names if one not in given), *given))
        if kept == found[0] or await _replaced(blobs, project, dataset_id, kept, found[1]):
            return kept


async def forget(blobs: Blobs, project: str, dataset_id: str) -> None:
    """Take the mark away."""
    await blobs.delete(keys.dataset(project, dataset_id, KEPT))


async def unname(blobs: Blobs, project: str, dataset_id: str, name: str) -> Kept | None:
    """Take one name away; the dataset stays kept. Return the mark then; None when it had no such name."""
    while True:
        found = await _mark(blobs, project, dataset_id)
        if found is None or name not in found[0].names:
            return None
        kept = Kept(tuple(one for one in found[0].names if one != name))
        if await _replaced(blobs, project, dataset_id, kept, found[1]):
            return kept


async def _replaced(blobs: Blobs, project: str, dataset_id: str, kept: Kept, etag: str) -> bool:
    """Write the mark; say whether nobody had changed it meanwhile."""
    try:
        await blobs.replace(keys.dataset(project, dataset_id, KEPT), kept.to_json(), etag)
    except (BlobChanged, BlobNotFound):
        return False
    return True


async def _listed(blobs: Blobs, project: str) -> dict[str, tuple[datetime | None, bool]]:
    """Return id → when it was made (None: it has no description), and whether it is kept."""
    made: dict[str, datetime] = {}
    kept: set[str] = set()
    async for dataset_id, name, when in _objects(blobs, project):
        if name == DESCRIPTION:
            made[dataset_id] = when
        elif name == KEPT:
            kept.add(dataset_id)
    return {one: (made.get(one), one in kept) for one in sorted({*made, *kept})}


async def _objects(blobs: Blobs, project: str) -> AsyncIterator[tuple[str, str, datetime]]:
    start = keys.datasets(project)
    async for info in blobs.list(start):
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
    return Stored(dataset_id, made, FileRef.of(key, data), description, mark[0] if mark else None)


async def _mark(blobs: Blobs, project: str, dataset_id: str) -> tuple[Kept, str] | None:
    """Return the mark and its ETag."""
    try:
        blob = await blobs.get(keys.dataset(project, dataset_id, KEPT))
    except BlobNotFound:
        return None
    return Kept.from_json(blob.data), blob.etag


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
