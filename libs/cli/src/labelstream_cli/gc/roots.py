"""What must stay: the images that the log refers to, and the archives that datasets are or will be made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Literal

from labelstream_cli.gc.book import Book, Shelf

Kind = Literal["image", "archive", "note"]
_FORMS: tuple[tuple[Kind, str], ...] = (
    ("image", r"{}/images/([0-9a-f]{{64}})\.[a-z0-9]{{1,8}}"),
    ("archive", r"{}/archives/([0-9a-f]{{64}})\.tar"),
    ("note", r"{}/archives/([0-9a-f]{{64}})\.tar\.(?:rewritten|collected)\.json"),
)


@dataclass(frozen=True)
class Why:
    """Why an object may go."""

    kind: Kind
    reason: Literal["image.unnamed", "archive.unnamed", "archive.older_recipe"]
    recipe: str | None = None


class Forms:
    """Tells what a key of a project is, by how it is spelled."""

    def __init__(self, project: str) -> None:
        self._forms = [(kind, re.compile(form.format(re.escape(project)))) for kind, form in _FORMS]

    def read(self, key: str) -> tuple[Kind, str] | None:
        """Return the kind and the digest in the key; None when it is not one of ours."""
        for kind, form in self._forms:
            found = form.fullmatch(key)
            if found is not None:
                return kind, found[1]
        return None


@dataclass(frozen=True)
class Roots:
    """What the streams and the kept datasets of one project refer to."""

    forms: Forms
    images: Set[bytes]  # digests
    staying: Set[str]  # keys of archives
    older: Mapping[str, str]  # archive of a recipe that is not in use → recipe

    @classmethod
    def of(
        cls,
        book: Book,
        needed: Iterable[str],
        notes: Mapping[str, str | None],
        recent_ms: int,
        augmenting: str | None = None,
    ) -> Roots:
        """Draw the line.

        `needed` are the archives of kept datasets. `notes` say what took the place of rewritten archives, beyond
        what the events say. In use is a recipe that was used since `recent_ms`, and the one that the augmenter works
        with, which may have said nothing yet.
        """
        forwards = {**notes, **book.forwards}
        using = in_use(book.shelves, recent_ms) | {augmenting}
        staying = _followed(needed, forwards)
        older: dict[str, str] = {}
        for recipe, shelf in book.shelves.items():
            archives = _followed(shelf.archives, forwards)
            if recipe in using:
                staying |= archives
            else:
                older |= dict.fromkeys(archives, recipe)
        return cls(Forms(book.project), book.images, staying, older)

    def why_not(self, key: str) -> Why | None:
        """Return why nothing needs an image or an archive; None when something does, or when it is neither."""
        read = self.forms.read(key)
        if read is None:
            return None
        kind, digest = read
        if kind == "image":
            return None if bytes.fromhex(digest) in self.images else Why(kind, "image.unnamed")
        if kind == "note" or key in self.staying:
            return None
        recipe = self.older.get(key)
        return Why(kind, "archive.older_recipe" if recipe else "archive.unnamed", recipe)


def in_use(shelves: Mapping[str, Shelf], recent_ms: int) -> frozenset[str]:
    """Return the recipes whose archives all stay.

    The one used last; one that another augmenter uses beside it; and, until the newest has caught up with the log,
    every one that got further: datasets of today are made of it.
    """
    if not shelves:
        return frozenset()
    newest = list(shelves)[-1]
    reached = shelves[newest].coverage
    others = (recipe for recipe, shelf in shelves.items() if shelf.coverage > reached or shelf.last_ms >= recent_ms)
    return frozenset((newest, *others))


def _followed(archives: Iterable[str], forwards: Mapping[str, str | None]) -> set[str]:
    """Return the archives with all that took their place, one after the other."""
    found: set[str] = set()
    waiting = list(archives)
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            by = forwards.get(key)
            waiting += [by] if by is not None else []
    return found
