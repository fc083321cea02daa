"""How an event changes the view."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass
from typing import Any

from labelstream.events.annotation import Annotation, AnnotationErased, AnnotationSettled, Outcome
from labelstream.values import Position
from labelstream.view import erasing, queries, waiting
from labelstream.view.content import pack_content, pack_context
from labelstream.view.tables import DELETED, VALIDATED

CHANGES = {"recorded", "edited", "validated", "unvalidated", "deleted"}


def short_key(project: str, message_key: str) -> bytes:
    """Return the 16 bytes under which a message is remembered; the same message may feed two projects."""
    return hashlib.sha256(f"{project}\n{message_key}".encode()).digest()[:16]


@dataclass(frozen=True)
class Fold:
    """Writes what one event says."""

    connection: sqlite3.Connection

    def settled(self, offset: int, project: str, event: AnnotationSettled) -> None:
        """Fold the receipt at `offset`."""
        project_id = self._answered(offset, project, event.input)
        if any(outcome.outcome != "rejected" for outcome in event.outcomes):  # a refused message may be sent again
            self._said(offset, project, event.message_key)
        if event.class_schema is not None:
            schema = event.class_schema.model_dump_json()
            self.connection.execute(
                "INSERT OR REPLACE INTO class_schema VALUES (?, ?, ?)", (project_id, offset, schema)
            )
        changes = [one for one in event.outcomes if one.name is not None and one.outcome in CHANGES]
        statuses = [_values(offset, project_id, one) for one in changes if one.annotation is None]
        if statuses:  # there may be thousands in one message
            self.connection.executemany(queries.CHANGE, statuses)
        for outcome in changes:
            if outcome.annotation is not None:
                content = self._content(project_id, outcome.annotation, event.input)
                self._change({**_values(offset, project_id, outcome), "content": content})
        waiting.fold(self.connection, offset, project_id, event)

    def erased(self, offset: int, project: str, event: AnnotationErased) -> None:
        """Fold the erasure at `offset`."""
        project_id = self._answered(offset, project, event.input)
        self._said(offset, project, event.message_key)
        erasing.forget(self.connection, project_id, event.names, event.images)

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

    def _answered(self, offset: int, project: str, answers: Position) -> int:
        """Count a receipt; return the project's id."""
        self.connection.execute(
            "INSERT INTO input (stream, last) VALUES (?, ?) "
            "ON CONFLICT (stream) DO UPDATE SET last = max(last, excluded.last)",
            (answers.stream, answers.offset),
        )
        self.connection.execute(
            "INSERT OR REPLACE INTO answer SELECT ?, id, ? FROM input WHERE stream = ?",
            (offset, answers.offset, answers.stream),
        )
        project_id = self.intern("project", name=project)
        self.connection.execute("UPDATE project SET receipts = receipts + 1 WHERE id = ?", (project_id,))
        return project_id

    def _said(self, offset: int, project: str, message_key: str) -> None:
        self.connection.execute(
            "INSERT OR IGNORE INTO message VALUES (?, ?)", (short_key(project, message_key), offset)
        )

    def _change(self, values: dict[str, Any]) -> None:
        """Add a change that brings content."""
        name = self.intern("name", project=values["project"], name=values["name"])
        self.connection.execute(queries.CHANGE_WITH_CONTENT, {**values, "name": name})

    def _content(self, project: int, annotation: Annotation, answers: Position) -> int:
        medium = self._medium(project, annotation)
        digest = bytes.fromhex(annotation.image.sha256)
        found = self.connection.execute(
            "SELECT id FROM image WHERE project = ? AND sha256 = ?", (project, digest)
        ).fetchone()
        image = found[0] if found else self._image(project, annotation, medium, answers)
        context = self.intern("context", packed=pack_context(annotation))
        cursor = self.connection.execute(
            "INSERT INTO content (image, medium, context, packed) VALUES (?, ?, ?, ?)",
            (image, medium, context, pack_content(annotation)),
        )
        return int(cursor.lastrowid or 0)

    def _image(self, project: int, annotation: Annotation, medium: int, answers: Position) -> int:
        """Add an image that is new; return its id."""
        self.connection.execute(
            "UPDATE input SET stored_bytes = stored_bytes + ? WHERE stream = ?",
            (annotation.image.size_bytes, answers.stream),
        )
        cursor = self.connection.execute(
            "INSERT INTO image (project, sha256, medium) VALUES (?, ?, ?)",
            (project, bytes.fromhex(annotation.image.sha256), medium),
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


def _values(offset: int, project: int, outcome: Outcome) -> dict[str, Any]:
    flags = (VALIDATED if outcome.validated else 0) | (DELETED if outcome.outcome == "deleted" else 0)
    revision = outcome.revision or 1
    return {"offset": offset, "revision": revision, "flags": flags, "project": project, "name": outcome.name}
