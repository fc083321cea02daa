"""The view itself: fold events in, ask about annotations."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from labelstream.classes import ClassSchema
from labelstream.events.annotation import AnnotationErased, AnnotationSettled
from labelstream.events.envelope import Envelope
from labelstream.values import Position
from labelstream.view import erasing, queries, reading, tables, waiting
from labelstream.view.content import labels_in, unpack
from labelstream.view.entry import Entry, HeldMessage, Home, Status, ToErase
from labelstream.view.fold import Fold, short_key
from labelstream.view.foreseeing import Foreseen

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
        self._foreseen = Foreseen(connection)
        self._uncommitted = 0
        self._projects: dict[str, int] = {}  # their ids
        meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
        self.position: int | None = meta.get("position")  # the last offset folded
        self.tail: str | None = meta.get("tail")  # the id of the event there

    # ---- writing

    def apply(self, offset: int, envelope: Envelope) -> None:
        """Fold the event at `offset`; one that was folded before does nothing, other types only move `position`."""
        if self._foreseen.confirms(offset, envelope.id):
            return
        if self._foreseen.waiting:
            self._fold_what_came_instead()
        if self.position is not None and offset <= self.position:
            return
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN")
        if isinstance(envelope.event, AnnotationSettled):
            self._fold.settled(offset, envelope.project, envelope.event)
        elif isinstance(envelope.event, AnnotationErased):
            self._fold.erased(offset, envelope.project, envelope.event)
        self.position, self.tail = offset, envelope.id
        self._uncommitted += 1
        if self._foreseen.begun:
            self._foreseen.note(offset, envelope)
        elif self._uncommitted >= COMMIT_EVERY:
            self.commit()

    def commit(self) -> None:
        """Write what was folded to the file."""
        if self._foreseen.begun:
            raise RuntimeError("what was not read back is never committed")
        if self._connection.in_transaction:
            meta = (("position", self.position), ("tail", self.tail))
            self._connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", meta)
            self._connection.execute("COMMIT")
        self._uncommitted = 0

    @contextmanager
    def foreseeing(self) -> Iterator[None]:
        """Fold ahead, inside, what is about to be stored, so that what comes next can be decided on top of it.

        It stays only when the very same events are applied afterwards, at the same offsets: it is undone
        as soon as another one is, and when the block is left by an error.
        """
        before = self.position, self.tail, self._uncommitted
        self._foreseen.begin(before)
        try:
            yield
        except BaseException:
            self._undo()
            raise
        self._foreseen.end()

    def _fold_what_came_instead(self) -> None:
        """Undo what was foreseen, and fold what of it did come."""
        for offset, envelope in self._undo():
            self.apply(offset, envelope)

    def _undo(self) -> list[tuple[int, Envelope]]:
        (self.position, self.tail, self._uncommitted), came = self._foreseen.undo()
        self._projects.clear()
        return came

    def reset(self) -> None:
        """Forget everything: the stream is to be folded from its first event."""
        self._connection.close()
        tables.remove(self._path)
        self._begin(tables.connect(self._path))

    def close(self) -> None:
        """Commit and close the file."""
        self.commit()
        self._connection.close()

    def abandon(self) -> None:
        """Close the file without what was not committed: it is folded again from the stream."""
        self._connection.close()

    # ---- asking

    def entry(self, project: str, name: str, at: int | None = None) -> Entry | None:
        """Return the annotation as of offset `at` (now, if not given), or None when there was none."""
        wanted = {**self._as_of(project, at), "name": name}
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

    def statuses(self, project: str, names: Sequence[str]) -> dict[str, Status]:
        """Return how the annotations `names` stand now, without their content; those that never were are left out."""
        wanted = {"project": self._project(project), "names": json.dumps(names)}
        return {
            name: Status(name, revision, offset, bool(flags & tables.VALIDATED), bool(flags & tables.DELETED))
            for name, revision, offset, flags in self._connection.execute(queries.STATUSES, wanted)
        }

    def validated(self, project: str, at: int | None = None) -> Iterator[Entry]:
        """Stream the annotation that stands for each image, where only validated ones count; see `standing`."""
        return self.standing(project, at)

    def standing(self, project: str, at: int | None = None, *, unvalidated: bool = False) -> Iterator[Entry]:
        """Stream the annotation that stands for each image as of offset `at`: the newest validated one.

        With `unvalidated`, an image that has none is stood for by the newest of the others, unless deleted.
        Ties (settled by one message) go to the first by name. Images come in the order in which
        they were first recorded; each entry has the medium, and that medium's split, that its image
        was first recorded with. What is folded while this runs does not show, so any thread may iterate.
        """
        self.commit()
        return reading.standing(self._path, {**self._as_of(project, at), "unvalidated": unvalidated})

    def homes(self, project: str, at: int | None = None) -> Iterator[Home]:
        """Stream, by name, the media of the images that each annotation showed up to offset `at`, deleted or not."""
        self.commit()
        return reading.homes(self._path, self._as_of(project, at))

    def validations(self, project: str, after: int) -> list[int]:
        """Return the offsets after `after` at which an annotation was validated, or changed while it was."""
        wanted = {"project": self._project(project), "after": after}
        return [row[0] for row in self._connection.execute(queries.VALIDATIONS, wanted)]

    def newest_validation(self, project: str, at: int) -> int | None:
        """Return the last offset up to `at` at which an annotation was validated, or changed while it was."""
        row = self._connection.execute(queries.NEWEST_VALIDATION, self._as_of(project, at)).fetchone()
        return int(row[0]) if row else None

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

    def receipt_of(self, message: Position) -> int | None:
        """Return the offset of the receipt that answers a message; None when there is none."""
        row = self._connection.execute(
            "SELECT max(answer.offset) FROM answer JOIN input ON input.id = answer.input "
            "WHERE input.stream = ? AND answer.input_offset = ?",
            (message.stream, message.offset),
        ).fetchone()
        return row[0] if row else None

    def stored_bytes(self, stream: str) -> int:
        """Return how many bytes of images the input `stream` brought, as far as they were new."""
        row = self._connection.execute("SELECT stored_bytes FROM input WHERE stream = ?", (stream,)).fetchone()
        return row[0] if row else 0

    def class_schema(self, project: str, at: int | None = None) -> ClassSchema | None:
        """Return the class schema that messages gave the project up to offset `at`; None when none did."""
        row = self._connection.execute(
            "SELECT json FROM class_schema WHERE project = :project AND offset <= :at ORDER BY offset DESC LIMIT 1",
            self._as_of(project, at),
        ).fetchone()
        return _schema(row[0]) if row else None

    def held(self, project: str, name: str) -> list[HeldMessage]:
        """Return what waits for the annotation `name` to be recorded, in the order of the receipts."""
        return waiting.held(self._connection, self._project(project), name)

    def expired(self, project: str, after: int, most: int) -> list[HeldMessage]:
        """Return up to `most` messages that at least `after` later messages of the project did not settle."""
        return waiting.expired(self._connection, self._project(project), after, most)

    def to_erase(self, project: str, names: Sequence[str], medium: str | None, most_bytes: int) -> ToErase:
        """Return what an erasure of `names`, or of a whole medium, concerns; as much as `most_bytes` can tell."""
        return erasing.to_erase(self._connection, self._project(project), names, medium, most_bytes)

    def labels_of(self, project: str, sha256: str) -> set[str]:
        """Return the digests of all labels that annotations say, or once said, of an image."""
        rows = self._connection.execute(queries.SAID_OF, (self._project(project), bytes.fromhex(sha256)))
        return {labels_in(packed) for (packed,) in rows}

    def image_medium(self, project: str, sha256: str) -> str | None:
        """Return the medium that the image was first recorded with."""
        row = self._connection.execute(
            "SELECT medium.name FROM image JOIN medium ON medium.id = image.medium "
            "WHERE image.project = ? AND image.sha256 = ?",
            (self._project(project), bytes.fromhex(sha256)),
        ).fetchone()
        return row[0] if row else None

    def _as_of(self, project: str, at: int | None) -> dict[str, int]:
        return {"project": self._project(project), "at": _NEWEST if at is None else at}

    def _project(self, name: str) -> int:
        known = self._projects.get(name)
        if known is None:
            row = self._connection.execute("SELECT id FROM project WHERE name = ?", (name,)).fetchone()
            if row is None:
                return 0  # ids begin at 1: 0 is nobody's
            known = self._projects[name] = int(row[0])
        return known


@lru_cache(maxsize=16)
def _schema(text: str) -> ClassSchema:
    return ClassSchema.model_validate_json(text)
