"""The view itself: fold events in, ask about annotations."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from labelstream.events.annotation import AnnotationSettled
from labelstream.events.envelope import Envelope
from labelstream.values import Position, Split
from labelstream.view import queries, tables
from labelstream.view.content import unpack
from labelstream.view.entry import Counts, Entry, Held
from labelstream.view.fold import Fold, short_key

COMMIT_EVERY = 1000  # events; what is lost in a crash is folded again
_NEWEST = 2**63 - 1  # no offset is higher


class AnnotationView:
    """Every annotation of every project, in one SQLite file. Called from one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begin(tables.connect(path))

    def _begin(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._fold = Fold(connection)
        self._uncommitted = 0
        self._tentative = False
        row = connection.execute("SELECT value FROM meta WHERE key = 'position'").fetchone()
        self.position: int | None = row[0] if row else None  # the last offset folded

    # ---- writing

    def apply(self, offset: int, envelope: Envelope) -> None:
        """Fold the event at `offset`; one that was folded before does nothing, other types only move `position`."""
        if self.position is not None and offset <= self.position:
            return
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN")
        if isinstance(envelope.event, AnnotationSettled):
            self._fold.settled(offset, envelope.project, envelope.event)
        self.position = offset
        self._uncommitted += 1
        if self._uncommitted >= COMMIT_EVERY and not self._tentative:
            self.commit()

    def commit(self) -> None:
        """Write what was folded to the file."""
        if self._tentative:
            raise RuntimeError("what is tentative is never committed")
        if self._connection.in_transaction:
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('position', ?)", (self.position,))
            self._connection.execute("COMMIT")
        self._uncommitted = 0

    @contextmanager
    def tentative(self) -> Iterator[None]:
        """Fold on trial: everything folded inside is undone at the end."""
        if self._tentative:
            raise RuntimeError("the view is already tentative")
        before = self.position, self._uncommitted
        self._connection.execute("SAVEPOINT tentative")
        self._tentative = True
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK TO tentative")
            self._connection.execute("RELEASE tentative")
            self._tentative = False
            self.position, self._uncommitted = before

    def reset(self) -> None:
        """Forget everything: the stream is to be folded from its first event."""
        self._connection.close()
        tables.remove(self._path)
        self._begin(tables.connect(self._path))

    def close(self) -> None:
        """Commit and close the file."""
        self.commit()
        self._connection.close()

    # ---- asking

    def entry(self, project: str, name: str, at: int | None = None) -> Entry | None:
        """Return the annotation as of offset `at` (now, if not given), or None when there was none."""
        wanted = {"project": self._project(project), "name": name, "at": _NEWEST if at is None else at}
        row = self._connection.execute(queries.ENTRY, wanted).fetchone()
        if row is None:
            return None
        revision, offset, flags, context, content, sha256, medium = row
        return Entry(
            name=name,
            revision=revision,
            offset=offset,
            validated=bool(flags & tables.VALIDATED),
            deleted=bool(flags & tables.DELETED),
            annotation=unpack(context, content, sha256, medium),
        )

    def validated(self, project: str, at: int | None = None) -> Iterator[Entry]:
        """Stream the annotation that stands for each image as of offset `at`: the newest validated one.

        Ties (validated by one message) go to the first by name. Images come in the order in which
        they were first recorded; each entry has the medium, and that medium's split, that its image
        was first recorded with. What is folded while this runs does not show, so any thread may iterate.
        """
        self.commit()
        wanted = {"project": self._project(project), "at": _NEWEST if at is None else at}
        return _validated(self._path, wanted)

    def validations(self, project: str, after: int) -> list[int]:
        """Return the offsets after `after` at which an annotation was validated, or changed while it was."""
        wanted = {"project": self._project(project), "after": after}
        return [row[0] for row in self._connection.execute(queries.VALIDATIONS, wanted)]

    def seen(self, project: str, message_key: str) -> Position | None:
        """Return the first message with this key that was settled, and not refused; None when there is none."""
        row = self._connection.execute(
            "SELECT offset FROM message WHERE key = ?", (short_key(project, message_key),)
        ).fetchone()
        return self.input_of(row[0]) if row else None

    def input_of(self, offset: int) -> Position | None:
        """Return the message that the receipt at `offset` answered."""
        row = self._connection.execute(
            "SELECT input.stream, answer.input_offset FROM answer JOIN input ON input.id = answer.input "
            "WHERE answer.offset = ?",
            (offset,),
        ).fetchone()
        return Position(stream=row[0], offset=row[1]) if row else None

    def last_input(self, stream: str) -> int | None:
        """Return the offset of the last message of the input `stream` that has a receipt."""
        row = self._connection.execute("SELECT last FROM input WHERE stream = ?", (stream,)).fetchone()
        return row[0] if row else None

    def held(self, project: str, name: str) -> Held | None:
        """Return what waits for the annotation `name` to be recorded."""
        row = self._connection.execute(
            "SELECT what FROM held WHERE project = ? AND name = ?", (self._project(project), name)
        ).fetchone()
        return Held(row[0]) if row else None

    def image_medium(self, project: str, sha256: str) -> str | None:
        """Return the medium that the image was first recorded with."""
        row = self._connection.execute(
            "SELECT medium.name FROM image JOIN medium ON medium.id = image.medium "
            "WHERE image.project = ? AND image.sha256 = ?",
            (self._project(project), bytes.fromhex(sha256)),
        ).fetchone()
        return row[0] if row else None

    def media_split(self, project: str, medium: str) -> Split | None:
        """Return the split that was published for the medium when it was first recorded."""
        row = self._connection.execute(
            "SELECT split FROM medium WHERE project = ? AND name = ?", (self._project(project), medium)
        ).fetchone()
        return row[0] if row else None

    def counts(self, project: str) -> Counts:
        """Count a project's annotations, images and media; takes a moment when there are many."""
        wanted = {"project": self._project(project), "at": _NEWEST}
        live, validated, deleted = self._connection.execute(queries.COUNTS, wanted).fetchone()
        images = self._connection.execute("SELECT count(*) FROM image WHERE project = :project", wanted).fetchone()[0]
        media = self._connection.execute("SELECT count(*) FROM medium WHERE project = :project", wanted).fetchone()[0]
        return Counts(annotations=live, validated=validated, deleted=deleted, images=images, media=media)

    def _project(self, name: str) -> int:
        row = self._connection.execute("SELECT id FROM project WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else 0  # ids begin at 1: 0 is nobody's


def _validated(path: Path, wanted: dict[str, int]) -> Iterator[Entry]:
    with closing(tables.snapshot(path)) as connection:
        for name, revision, offset, context, content, sha256, medium, split in connection.execute(
            queries.VALIDATED, wanted
        ):
            annotation = unpack(context, content, sha256, medium).model_copy(update={"split": split})
            yield Entry(name, revision, offset, validated=True, deleted=False, annotation=annotation)
