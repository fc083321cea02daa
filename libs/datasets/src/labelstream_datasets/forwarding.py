"""Archives that were rewritten because something in them was erased: where the rest of their content lies."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from labelstream import keys
from labelstream.blobs.checked import download_checked
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.errors import Rejected
from labelstream.events.batch import Rewritten
from labelstream.values import FileRef

HINT = "Build a new dataset: `labelstream train` does."


async def download_archive(blobs: Blobs, archive: FileRef, path: Path) -> bool:
    """Download an archive, or what took its place, to `path`; return whether it was rewritten.

    Raises Rejected when it is gone without a trace, changed, or when nothing of it survived an erasure; Unavailable.
    """
    wanted, rewritten = archive, False
    while True:
        try:
            await download_checked(blobs, wanted, path)
        except Rejected as error:
            note = await _note(blobs, wanted.key) if error.rule == "object.missing" else None
            if note is None:
                raise
            if note.by is None:
                raise erased(f"{archive.key}, everything in it") from error
            wanted, rewritten = note.by, True
        else:
            return rewritten


def erased(what: str) -> Rejected:
    """Say that something which a dataset held was erased."""
    return Rejected("dataset.erased", f"{what}, was erased since the dataset was built", HINT)


async def _note(blobs: Blobs, archive: str) -> Rewritten | None:
    try:
        return Rewritten.model_validate_json((await blobs.get(keys.forwarding(archive))).data)
    except (BlobNotFound, ValidationError):
        return None  # the caller says what is missing
