"""Reading what a reference describes, and nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path

from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.errors import Rejected
from labelstream.values import FileRef, sha256_file, sha256_hex

HINT = "Restore the object, or make it anew."


async def read_checked(blobs: Blobs, file: FileRef) -> bytes:
    """Return the bytes that `file` describes. Raises Rejected when they are gone or others, Unavailable."""
    try:
        data = (await blobs.get(file.key)).data
    except BlobNotFound as error:
        raise _gone(file) from error
    _compare(file, sha256_hex(data))
    return data


async def download_checked(blobs: Blobs, file: FileRef, path: Path) -> Path:
    """Download what `file` describes to `path`. Raises Rejected when it is gone or something else, Unavailable."""
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    try:
        await blobs.download(file.key, path)
    except BlobNotFound as error:
        raise _gone(file) from error
    _compare(file, await asyncio.to_thread(sha256_file, path))
    return path


def _gone(file: FileRef) -> Rejected:
    return Rejected("object.missing", f"the store has no {file.key}", HINT)


def _compare(file: FileRef, found: str) -> None:
    if found != file.sha256:
        raise Rejected("object.changed", f"{file.key} has the digest {found}, not {file.sha256}", HINT)
