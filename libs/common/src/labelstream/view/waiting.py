"""Messages that are held: they came before the annotation that they are about."""

from __future__ import annotations

import sqlite3

from labelstream.events.annotation import AnnotationSettled, Asked, HeldEdit, Outcome
from labelstream.values import Position
from labelstream.view.entry import HeldMessage

AWAITED: Asked = "created"  # held in the place of a creation that is still to come, behind an edit that recorded

_FIND = """
SELECT held.name, held.asked, held.offset, held.validated, held.edit, input.stream, answer.input_offset
FROM held JOIN answer ON answer.offset = held.offset JOIN input ON input.id = answer.input
"""
_OF_NAME = f"{_FIND} WHERE held.project = :project AND held.name = :name ORDER BY held.offset"
_EXPIRED = f"""
{_FIND} WHERE held.project = :project AND held.asked != :awaited
AND held.receipts <= (SELECT receipts FROM project WHERE id = :project) - :after
ORDER BY held.receipts, held.offset, held.name LIMIT :most
"""  # noqa: S608 - put together from constants


def held(connection: sqlite3.Connection, project: int, name: str) -> list[HeldMessage]:
    """Return what waits for the annotation `name`, in the order of the receipts."""
    return [_message(row) for row in connection.execute(_OF_NAME, {"project": project, "name": name})]


def expired(connection: sqlite3.Connection, project: int, after: int, most: int) -> list[HeldMessage]:
    """Return up to `most` messages that at least `after` later messages of the project did not settle."""
    wanted = {"project": project, "after": after, "most": most, "awaited": AWAITED}
    return [_message(row) for row in connection.execute(_EXPIRED, wanted)]


def fold(connection: sqlite3.Connection, offset: int, project: int, event: AnnotationSettled) -> None:
    """Take into account what a receipt holds, settles or lets expire."""
    for settled in event.settles:
        _forget(connection, project, settled.name, settled.asked)
    for outcome in event.outcomes:
        if outcome.name is None:
            continue
        if outcome.outcome == "held":
            _hold(connection, offset, project, _asked(event, outcome), outcome)
        elif outcome.outcome == "recorded" and event.asked == "edited":
            _hold(connection, offset, project, AWAITED, outcome)
        elif outcome.outcome == "superseded" and event.asked == "created":
            _forget(connection, project, outcome.name, AWAITED)
        elif event.asked is None and outcome.outcome in {"recorded", "superseded"}:  # an early receipt
            connection.execute("DELETE FROM held WHERE project = ? AND name = ?", (project, outcome.name))


def _forget(connection: sqlite3.Connection, project: int, name: str, asked: Asked) -> None:
    """Hold a message no longer."""
    connection.execute("DELETE FROM held WHERE project = ? AND name = ? AND asked = ?", (project, name, asked))


def _hold(connection: sqlite3.Connection, offset: int, project: int, asked: Asked, outcome: Outcome) -> None:
    edit = outcome.edit.model_dump_json(by_alias=True) if outcome.edit else None
    connection.execute(
        "INSERT OR REPLACE INTO held SELECT ?, ?, ?, ?, receipts, ?, ? FROM project WHERE id = ?",
        (project, outcome.name, asked, offset, bool(outcome.validated), edit, project),
    )


def _asked(event: AnnotationSettled, outcome: Outcome) -> Asked:
    """Return what a held message asked; early receipts did not say it."""
    return event.asked or ("validated" if outcome.validated else "deleted")


def _message(row: tuple[str, Asked, int, int, str | None, str, int]) -> HeldMessage:
    name, asked, offset, validated, edit, stream, input_offset = row
    return HeldMessage(
        name=name,
        asked=asked,
        offset=offset,
        input=Position(stream=stream, offset=input_offset),
        validated=bool(validated),
        edit=HeldEdit.model_validate_json(edit) if edit else None,
    )
