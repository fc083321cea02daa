"""Published lists: somebody else said which annotations belong to which split, and their media follow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import TypeAdapter

from labelstream.blobs.checked import read_checked
from labelstream.blobs.ports import Blobs
from labelstream.errors import Misconfigured
from labelstream.values import Split, canonical_json
from labelstream.view import Home
from labelstream_datasets.description import DatasetDescription

Published = Mapping[str, Split]  # annotation name, with or without its image's suffix → split

SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
_READ: Final = TypeAdapter(dict[str, Split])


@dataclass(frozen=True)
class Placement:
    """Where published lists put the media of a project."""

    media: Mapping[str, Split] = field(default_factory=dict)
    unknown: int = 0  # listed names that no annotation has
    left_test: int = 0  # media that were dealt to test, until a listed annotation of theirs came

    @classmethod
    def of(cls, published: Published, homes: Iterable[Home], dealt: Callable[[str], Split]) -> Placement:
        """Find the media of listed annotations; `dealt` is where a medium belongs that no list names.

        Raises Misconfigured when one medium would belong to two splits.
        """
        found = _Found(published)
        for home in homes:
            found.add(home)
        late = [medium for medium in found.late() if found.media[medium] != "test" and dealt(medium) == "test"]
        return cls(found.media, len(published.keys() - found.known), len(late))


class _Found:
    """What was found of the lists so far."""

    def __init__(self, published: Published) -> None:
        self.known: set[str] = set()  # of the listed names
        self.media: dict[str, Split] = {}
        self._published = published
        self._by_stem: defaultdict[str, list[str]] = defaultdict(list)
        for name in published:
            self._by_stem[_stem(name)].append(name)
        self._said_by: dict[str, str] = {}  # medium → who put it into its split, in words
        self._first: dict[str, int] = {}  # medium → order of its first content
        self._first_listed: dict[str, int] = {}

    def add(self, home: Home) -> None:
        """Take an annotation's medium into account. Raises Misconfigured for a second split."""
        medium = home.medium
        self._first[medium] = min(home.order, self._first.get(medium, home.order))
        listed = self._by_stem.get(_stem(home.name), [])
        self.known.update(listed)
        if home.split is not None:
            self._put(medium, home.split, "its producer")
        for name in [home.name] if home.name in self._published else listed:
            self._put(medium, self._published[name], f"the list entry {name!r}")
        if listed:
            self._first_listed[medium] = min(home.order, self._first_listed.get(medium, home.order))

    def late(self) -> Iterable[str]:
        """Return the media that were there before a listed annotation of theirs came."""
        return [medium for medium, order in self._first_listed.items() if order > self._first[medium]]

    def _put(self, medium: str, split: Split, who: str) -> None:
        before = self.media.setdefault(medium, split)
        said_by = self._said_by.setdefault(medium, who)
        if before != split:
            raise Misconfigured(
                f"the medium {medium!r} can be in one split alone: {said_by} puts it into {before}, "
                f"and {who} into {split}. Take one of them out of the lists"
            )


def published_of(lists: Mapping[Split, Iterable[str]]) -> dict[str, Split]:
    """Join lists of names, one for each split. Raises Misconfigured when one name is in two of them."""
    joined: dict[str, Split] = {}
    for split, names in lists.items():
        for name in filter(None, map(str.strip, names)):
            if joined.setdefault(name, split) != split:
                raise Misconfigured(f"{name!r} is listed in {joined[name]} and in {split}: take it out of one of them")
    return joined


def packed(published: Published) -> bytes:
    """Return the lists as they are stored: equal lists, equal bytes."""
    return canonical_json(dict(published))


async def load_published(blobs: Blobs, description: DatasetDescription) -> Published:
    """Read the lists that a dataset was built by, if any. Raises Rejected when they are gone, Unavailable."""
    stored = description.published
    return {} if stored is None else _READ.validate_json(await read_checked(blobs, stored))


def _stem(name: str) -> str:
    suffix = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)] or name
