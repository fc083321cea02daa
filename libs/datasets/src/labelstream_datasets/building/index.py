"""Where the variants of every content lie: a fold over `batch-events`."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import msgpack

from labelstream.events.batch import BatchAugmented, LeftOut, Member, Rewritten
from labelstream.events.envelope import Envelope
from labelstream.values import FileRef
from labelstream_datasets.archives.erased import ErasedContents


class StoredVariant(NamedTuple):
    """One variant inside an archive."""

    variant: int
    path: str
    sha256: str
    boxes: int


@dataclass(frozen=True)
class StoredContent:
    """The variants of one content, and the archive that holds them."""

    archive: FileRef
    variants: tuple[StoredVariant, ...]
    phash: str | None = None  # of the original


class BatchIndex:
    """Which archive holds the variants of (image, labels), for each project and recipe.

    One thread folds while others may ask. What was erased is found no more, at whatever cut.
    """

    def __init__(self) -> None:
        self._archives: list[FileRef | None] = []  # None: erased, and nothing took its place
        self._numbers: dict[str, int] = {}  # of the archives that are there, by key
        self._erased: dict[str, ErasedContents] = {}  # by project
        self._books: dict[tuple[str, str], _Book] = {}  # by project and recipe
        self._recipes: dict[str, list[str]] = {}  # of each project, the one used last at the end
        self._firsts: dict[str, _Firsts] = {}  # by project

    def fold(self, _offset: int, envelope: Envelope) -> None:
        """Take one event of `batch-events` into account."""
        event = envelope.event
        if not isinstance(event, BatchAugmented):
            return
        if event.lists is not None:
            raise ValueError("the event's lists lie in the store: fold it behind labelstream.batches.WholeBatches")
        erased = self.erased(envelope.project)
        erased.fold(event)
        self._move(event.rewritten)
        book = self._books.setdefault((envelope.project, event.recipe), _Book({}, {}, erased))
        older = [recipe for recipe in self._recipes.get(envelope.project, []) if recipe != event.recipe]
        self._recipes[envelope.project] = [*older, event.recipe]
        book.covered(event.input.first, event.input.last)
        self._firsts.setdefault(envelope.project, _Firsts([], [])).covered(book.coverage, event.recipe)
        archives = [event.archive, *event.more_archives] if event.archive else []
        numbers = [self._number(archive) for archive in archives]
        for member in event.members:
            book.add(member, numbers[member.archive])
        for left_out in event.left_out:
            book.leave_out(left_out)

    def _move(self, rewritten: Iterable[Rewritten]) -> None:
        for one in rewritten:
            number = self._numbers.pop(one.archive, None)
            if number is not None:  # else another recipe's writer said so before
                self._archives[number] = one.by
                if one.by is not None:
                    self._numbers[one.by.key] = number

    def _number(self, archive: FileRef) -> int:
        known = self._numbers.get(archive.key)
        if known is None or self._archives[known] != archive:
            known = self._numbers[archive.key] = len(self._archives)
            self._archives.append(archive)
        return known

    def recipe(self, project: str, cut: int = -1) -> str | None:
        """Return the recipe that was used last and answers every offset up to `cut`; None when there is none."""
        recipes = reversed(self._recipes.get(project, []))
        return next((recipe for recipe in recipes if self.coverage(project, recipe) >= cut), None)

    def recipe_then(self, project: str, cut: int) -> str | None:
        """Return the recipe that was the first to answer every offset up to `cut`; None when there is none."""
        firsts = self._firsts.get(project)
        return firsts.recipe(cut) if firsts else None

    def recipes(self, project: str) -> list[tuple[str, int]]:
        """Return (digest, coverage) of the project's recipes, the one used last at the end."""
        return [(recipe, self.coverage(project, recipe)) for recipe in self._recipes.get(project, [])]

    def coverage(self, project: str, recipe: str) -> int:
        """Return the offset of `annotation-events` up to which everything is answered; -1 when nothing is."""
        book = self._books.get((project, recipe))
        return book.coverage if book else -1

    def erased(self, project: str) -> ErasedContents:
        """Return what of the project was erased; it grows with the index."""
        return self._erased.setdefault(project, ErasedContents())

    def find(self, project: str, recipe: str, content: tuple[str, str], cut: int) -> StoredContent | None:
        """Return the variants of a content that was validated up to the offset `cut`; None when it was left out."""
        book = self._books.get((project, recipe))
        packed = book.find(_key(content)) if book else None
        if packed is None:
            return None
        offset, number, variants, phash = msgpack.unpackb(packed)
        archive = self._archives[number]
        if archive is None or offset > cut:  # an earlier attempt failed; a dataset of that time goes without it
            return None
        stored = tuple([StoredVariant(number, path, sha.hex(), boxes) for number, path, sha, boxes in variants])
        return StoredContent(archive, stored, phash.hex() if phash else None)

    def reason(self, project: str, recipe: str, content: tuple[str, str]) -> str | None:
        """Return why a content was left out, if it was."""
        book = self._books.get((project, recipe))
        return book.reasons.get(_key(content)) if book else None


@dataclass(frozen=True)
class _Firsts:
    """Which recipe was the first to come so far: offsets that rise, and the recipe that reached each of them."""

    reached: list[int]
    recipes: list[str]

    def covered(self, offset: int, recipe: str) -> None:
        if self.reached and offset <= self.reached[-1]:
            return
        if self.recipes and self.recipes[-1] == recipe:
            self.reached[-1] = offset
        elif offset >= 0:
            self.reached.append(offset)
            self.recipes.append(recipe)

    def recipe(self, cut: int) -> str | None:
        place = bisect_left(self.reached, cut)
        return self.recipes[place] if place < len(self.reached) else None


@dataclass
class _Book:
    members: dict[bytes, bytes]  # content → packed: a million variants are common
    reasons: dict[bytes, str]
    erased: ErasedContents  # of the project
    coverage: int = -1

    def covered(self, first: int, last: int) -> None:
        if first <= self.coverage + 1:
            self.coverage = max(self.coverage, last)

    def add(self, member: Member, archive: int) -> None:
        variants = [(v.variant, v.image_path, bytes.fromhex(v.sha256), v.boxes) for v in member.variants]
        key = _key((member.image, member.labels))
        if self.find(key) is None:  # else the first stands
            phash = bytes.fromhex(member.phash) if member.phash else None
            self.members[key] = msgpack.packb([member.offset, archive, variants, phash])

    def find(self, key: bytes) -> bytes | None:
        packed = self.members.get(key)
        return None if packed is None or self.erased.since(key, _offset(packed)) else packed

    def leave_out(self, left_out: LeftOut) -> None:
        self.reasons.setdefault(_key((left_out.image, left_out.labels)), left_out.reason)


def _offset(packed: bytes) -> int:
    return int(msgpack.unpackb(packed)[0])


def _key(content: tuple[str, str]) -> bytes:
    return bytes.fromhex(content[0] + content[1])
