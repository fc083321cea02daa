"""Erasure: which annotations and images it concerns, and how the view forgets them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from labelstream.events.annotation import ImageRef
from labelstream.view.content import unpack
from labelstream.view.entry import ToErase

_NAMED = """
SELECT value FROM json_each(:names) WHERE EXISTS (SELECT 1 FROM name WHERE project = :project AND name = value)
OR EXISTS (SELECT 1 FROM held WHERE project = :project AND name = value)
ORDER BY value
"""

# An annotation belongs to a medium when it says so, or when its image was first recorded with it.
_OF_MEDIUM = """
SELECT DISTINCT name.name FROM content
JOIN image ON image.id = content.image JOIN change ON change.content = content.id JOIN name ON name.id = change.name
WHERE name.project = :project AND
(SELECT id FROM medium WHERE project = :project AND name = :medium) IN (content.medium, image.medium)
ORDER BY name.name
"""

_IMAGES_OF = """
SELECT DISTINCT content.image, context.packed, content.packed, image.sha256
FROM name JOIN change ON change.name = name.id JOIN content ON content.id = change.content
JOIN context ON context.id = content.context JOIN image ON image.id = content.image
WHERE name.project = :project AND name.name = :name
"""

_SHOWN_BY_OTHERS = """
SELECT DISTINCT content.image FROM content JOIN change ON change.content = content.id JOIN name ON name.id = change.name
WHERE content.image IN (SELECT value FROM json_each(:images))
AND name.name NOT IN (SELECT value FROM json_each(:names))
"""


def to_erase(
    connection: sqlite3.Connection, project: int, names: Sequence[str], medium: str | None, most_bytes: int
) -> ToErase:
    """Return what an erasure of `names`, or of a medium, concerns; as much as can be told in `most_bytes`."""
    wanted = {"project": project, "names": json.dumps(names), "medium": medium}
    rows = connection.execute(_OF_MEDIUM if medium is not None else _NAMED, wanted).fetchall()
    found = [row[0] for row in rows]
    taken: list[str] = []
    images: dict[int, ImageRef] = {}
    room = most_bytes
    for name in found:
        more = dict(_images_of(connection, project, name))
        room -= len(name.encode()) + 8 + 72 * len(more.keys() - images.keys())
        if room < 0 and taken:
            break
        taken.append(name)
        images |= more
    among = {"images": json.dumps(list(images)), "names": json.dumps(taken)}
    kept = {row[0] for row in connection.execute(_SHOWN_BY_OTHERS, among)}
    return ToErase(
        names=tuple(taken),
        images=tuple(image for number, image in images.items() if number not in kept),
        kept=tuple(image for number, image in images.items() if number in kept),
        remaining=len(found) - len(taken),
    )


def forget(connection: sqlite3.Connection, project: int, names: Iterable[str], images: Iterable[str]) -> None:
    """Remove the annotations, all their revisions and what is held for them, and the images that are gone."""
    for name in names:
        connection.execute("DELETE FROM held WHERE project = ? AND name = ?", (project, name))
        row = connection.execute("SELECT id FROM name WHERE project = ? AND name = ?", (project, name)).fetchone()
        if row is not None:
            connection.execute("DELETE FROM content WHERE id IN (SELECT content FROM change WHERE name = ?)", row)
            connection.execute("DELETE FROM change WHERE name = ?", row)
            connection.execute("DELETE FROM name WHERE id = ?", row)
    for sha256 in images:
        connection.execute("DELETE FROM image WHERE project = ? AND sha256 = ?", (project, bytes.fromhex(sha256)))


def _images_of(connection: sqlite3.Connection, project: int, name: str) -> Iterator[tuple[int, ImageRef]]:
    for number, context, content, sha256 in connection.execute(_IMAGES_OF, {"project": project, "name": name}):
        yield number, unpack(context, content, sha256, "").image
