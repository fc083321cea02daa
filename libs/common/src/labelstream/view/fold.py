"""How an event changes the view."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass

from labelstream.events.annotation import Annotation, AnnotationSettled, Outcome
from labelstream.view import queries
from labelstream.view.content import pack_content, pack_context
from labelstream.view.entry import Held
from labelstream.view.tables import DELETED, VALIDATED

CHANGES = {"recorded", "edited", "validated", "unvalidated", "deleted"}


def short_key(project: str, message_key: str) -> bytes:
    """Return the 16 bytes under which a message is remembered; the same message may feed two projects."""
    return hashlib.sha256(f"{project}\n{message_key}".encode()).digest()[:16]


@dataclass(frozen=True)
class Fold:
    """Writes what one `annotation.settled` says."""

    connection: sqlite3.Connection

    def settled(self, offset: int, project: str, event: AnnotationSettled) -> None:
        """Fold the receipt at `offset`."""
        self._answered(offset, event)
        project_id = self.intern("project", name=project)
        if any(outcome.outcome != "rejected" for outcome in event.outcomes):  # a refused message may be sent again
            key = short_key(project, event.message_key)
            self.connection.execute("INSERT OR IGNORE INTO message VALUES (?, ?)", (key, offset))
        for outcome in event.outcomes:
            if outcome.name is not None:
                self._outcome(offset, project_id, outcome.name, outcome)

    def intern(self, table: str, **values: str | int | bytes) -> int:
        """Return the id of the row of `table` with these values, added if it is new."""
        columns, marks = ", ".join(values), ", ".join("?" * len(values))
        where = " AND ".join(f"{column} = ?" for column in values)
        # The names of tables and columns are constants of this file.
        found = self.connection.execute(f"SELECT id FROM {table} WHERE {where}", tuple(values.values())).fetchone()  # noqa: S608
        if found:
            return int(found[0])
        cursor = self.connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", tuple(values.values()))  # noqa: S608
        return int(cursor.lastrowid or 0)

    def _answered(self, offset: int, event: AnnotationSettled) -> None:
        self.connection.execute(
            "INSERT INTO input (stream, last) VALUES (?, ?) "
            "ON CONFLICT (stream) DO UPDATE SET last = max(last, excluded.last)",
            (event.input.stream, event.input.offset),
        )
        self.connection.execute(
            "INSERT OR REPLACE INTO answer SELECT ?, id, ? FROM input WHERE stream = ?",
            (offset, event.input.offset, event.input.stream),
        )

    def _outcome(self, offset: int, project: int, name: str, outcome: Outcome) -> None:
        if outcome.outcome == "held":
            what = Held.VALIDATION if outcome.validated else Held.DELETION
            self.connection.execute("INSERT OR REPLACE INTO held VALUES (?, ?, ?)", (project, name, what))
            return
        if outcome.outcome in {"recorded", "superseded"}:
            self.connection.execute("DELETE FROM held WHERE project = ? AND name = ?", (project, name))
        if outcome.outcome not in CHANGES:
            return
        flags = (VALIDATED if outcome.validated else 0) | (DELETED if outcome.outcome == "deleted" else 0)
        values = {"offset": offset, "revision": outcome.revision or 1, "flags": flags}
        if outcome.annotation is None:
            self.connection.execute(queries.CHANGE, {**values, "project": project, "name": name})
            return
        content = self._content(project, outcome.annotation)
        name_id = self.intern("name", project=project, name=name)
        self.connection.execute(queries.CHANGE_WITH_CONTENT, {**values, "name": name_id, "content": content})

    def _content(self, project: int, annotation: Annotation) -> int:
        medium = self._medium(project, annotation)
        digest = bytes.fromhex(annotation.image.sha256)
        found = self.connection.execute(
            "SELECT id FROM image WHERE project = ? AND sha256 = ?", (project, digest)
        ).fetchone()
        image = found[0] if found else self.intern("image", project=project, sha256=digest, medium=medium)
        context = self.intern("context", packed=pack_context(annotation))
        cursor = self.connection.execute(
            "INSERT INTO content (image, medium, context, packed) VALUES (?, ?, ?, ?)",
            (image, medium, context, pack_content(annotation)),
        )
        return int(cursor.lastrowid or 0)

    def _medium(self, project: int, annotation: Annotation) -> int:
        """Return the medium's id; the split that it was first recorded with stays, none included."""
        found = self.connection.execute(
            "SELECT id FROM medium WHERE project = ? AND name = ?", (project, annotation.medium)
        ).fetchone()
        if found:
            return int(found[0])
        cursor = self.connection.execute(
            "INSERT INTO medium (project, name, split) VALUES (?, ?, ?)",
            (project, annotation.medium, annotation.split),
        )
        return int(cursor.lastrowid or 0)
