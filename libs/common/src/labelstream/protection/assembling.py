"""Putting a bundle together on a device: what lies in public in the model bucket, and the small parts of its grant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from labelstream import keys
from labelstream.blobs.ports import BlobNotFound, Blobs, BlobTooLarge
from labelstream.bundle import MANIFEST, SIGNATURE, Manifest, SealedFile
from labelstream.errors import Rejected, Unavailable
from labelstream.protection.measuring import Measured
from labelstream.protection.verifying import check_small_parts, read_manifest, sealed_files

Tell = Callable[[str, int, int], None]  # which file, bytes that are there, of how many

PIECE = 8 << 20  # bytes asked for at once
MOST_BESIDE = 64 << 20  # bytes of a manifest, a signature or a report
_BUCKET = "model bucket"


def not_told(_file: str, _done: int, _total: int) -> None:
    """Show no progress."""


async def fetch_beside(models: Blobs, key: str) -> bytes:
    """Read a manifest, a signature or a report from the model bucket. Raises Rejected, Unavailable."""
    try:
        return (await models.get(key, MOST_BESIDE)).data
    except BlobNotFound as error:
        raise _missing(key) from error
    except BlobTooLarge as error:
        raise Rejected("bundle.too_large", str(error), f"None has more than {MOST_BESIDE} bytes") from error


async def assemble(
    models: Blobs, content: bytes, small_parts: Mapping[str, bytes], directory: Path, *, tell: Tell = not_told
) -> Manifest:
    """Write a bundle's signed directory, whose manifest is `content`; `directory` is empty. Takes constant memory.

    What is written is not yet to be trusted: `verify_bundle` says whether it is. Raises Rejected when a part is missing
    from the grant, belongs to another model or is cut off; Unavailable when it can't be had now.
    """
    manifest = read_manifest(content)
    check_small_parts(manifest, small_parts)  # before anything large is fetched
    await asyncio.to_thread((directory / MANIFEST).write_bytes, content)
    for name in (SIGNATURE, *manifest.files):
        beside = await fetch_beside(models, keys.model(manifest.project, manifest.model, name))
        await asyncio.to_thread((directory / name).write_bytes, beside)
    for file in sealed_files(manifest):
        await _assemble_file(models, manifest, file, small_parts[file.file], directory / file.file, tell)
    return manifest


async def _assemble_file(
    models: Blobs, manifest: Manifest, file: SealedFile, small: bytes, path: Path, tell: Tell
) -> None:
    with path.open("xb") as target:
        whole = Measured(target)
        whole.write(small)
        async for piece in _big_part(models, manifest, file):
            await asyncio.to_thread(whole.write, piece)
            tell(file.file, whole.size_bytes, file.sealed_bytes)
    if whole.size_bytes < file.sealed_bytes:
        raise Rejected(
            "bundle.truncated",
            f"the big part of {file.file} is cut off: {whole.size_bytes} of {file.sealed_bytes} bytes are there",
            "Export the model again",
        )
    if whole.sha256 != file.sealed_sha256:
        raise Rejected(
            "bundle.big_part_differs",
            f"the big part of {file.file} is not that of {manifest.model}: it was changed, or is another model's",
            "Somebody changed it in the model bucket; export the model again",
        )


async def _big_part(models: Blobs, manifest: Manifest, file: SealedFile) -> AsyncIterator[bytes]:
    """Yield a big part in pieces; nothing where the file travels in the grant alone."""
    key, size = keys.big_part(manifest.project, manifest.model, file.file), file.sealed_bytes - file.small_bytes
    try:
        for start in range(0, size, PIECE):
            piece = await models.get_range(key, start, min(start + PIECE, size))
            if not piece:
                return
            yield piece
    except BlobNotFound as error:
        raise _missing(key) from error


def _missing(key: str) -> Unavailable:
    return Unavailable(_BUCKET, f"it has no {key}")
