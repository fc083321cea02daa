"""Long answers, streamed from the committed state: any thread may read on while the view goes on folding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from labelstream.view import queries, tables
from labelstream.view.content import unpack
from labelstream.view.entry import Entry, Home


def standing(path: Path, wanted: Mapping[str, int]) -> Iterator[Entry]:
    """Return the annotation that stands for each image."""
    with closing(tables.snapshot(path)) as connection:
        for name, revision, offset, flags, context, content, sha256, medium, split in connection.execute(
            queries.STANDING, wanted
        ):
            annotation = unpack(context, content, sha256, medium).model_copy(update={"split": split})
            yield Entry(
                name, revision, offset, validated=flags == tables.VALIDATED, deleted=False, annotation=annotation
            )


def homes(path: Path, wanted: Mapping[str, int]) -> Iterator[Home]:
    """Return the media of each annotation."""
    with closing(tables.snapshot(path)) as connection:
        yield from map(Home._make, connection.execute(queries.HOMES, wanted))
