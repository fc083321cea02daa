"""Archives that are no longer where a dataset says: rewritten since something in them was erased, or collected."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from labelstream import keys
from labelstream.blobs.checked import download_checked
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.errors import Rejected
from labelstream.events.batch import Rewritten
from labelstream.values import FileRef
from labelstream_datasets.manifest import Row

T = TypeVar("T")
Read = Callable[[FileRef, bool], Awaitable[T]]  # takes where an archive lies, and whether it was rewritten

HINT = "Build a new dataset: `labelstream dataset build` does."


class Erased(Rejected):
    """Something that a dataset held was erased."""

    def __init__(self, reason: str, rows: Sequence[Row] = (), hint: str = HINT) -> None:
        """Name the `rows` of a manifest that are concerned; none: everything in the archive."""
        super().__init__("dataset.erased", reason, hint)
        self.rows = rows


async def follow_archive(blobs: Blobs, archive: FileRef, read: Read[T]) -> T:
    """Return what `read` makes of an archive, or of what took its place; `read` raises Rejected `object.missing`.

    Raises Rejected when it is gone without a trace, was collected, or when nothing of it survived an erasure;
    Unavailable.
    """
    wanted, rewritten = archive, False
    while True:
        try:
            return await read(wanted, rewritten)
        except Rejected as error:
            if error.rule != "object.missing":
                raise
            wanted, rewritten = await _next(blobs, archive, wanted, error), True


async def download_archive(blobs: Blobs, archive: FileRef, path: Path) -> bool:
    """Download an archive, or what took its place, to `path`; return whether it was rewritten.

    Raises Rejected as `follow_archive` does, and when it changed; Unavailable.
    """

    async def read(where: FileRef, rewritten: bool) -> bool:
        await download_checked(blobs, where, path)
        return rewritten

    return await follow_archive(blobs, archive, read)


async def _next(blobs: Blobs, archive: FileRef, missing: FileRef, error: Rejected) -> FileRef:
    """Return where the content of an archive that is missing lies now."""
    note, collected = await asyncio.gather(_note(blobs, missing.key), blobs.head(keys.collected(missing.key)))
    if note is None:
        if collected is None:
            raise error
        raise Rejected(
            "dataset.collected",
            f"{archive.key} was removed on {collected.modified:%Y-%m-%d} by `labelstream gc`, "
            "since no kept dataset or model needed it",
            f"{HINT} `labelstream dataset build` also keeps what it builds",
        ) from error
    if note.by is None:
        raise Erased(f"everything in {archive.key} was erased since the dataset was built") from error
    return note.by


async def _note(blobs: Blobs, archive: str) -> Rewritten | None:
    try:
        return Rewritten.model_validate_json((await blobs.get(keys.forwarding(archive))).data)
    except (BlobNotFound, ValidationError):
        return None  # the caller says what is missing
