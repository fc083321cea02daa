"""The secret files of a stack, sealed to somebody's age key, or left out."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgpack

from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.protection.sealing import open_sealed, seal
from labelstream.values import sha256_hex
from labelstream_cli.backup.book import File, Snapshot
from labelstream_cli.backup.segments import Damaged
from labelstream_cli.running import CommandFailed
from labelstream_local.secret_files import private_directory, write_private
from labelstream_local.secrets_store import VERIFYING_KEY


async def write(files: Blobs, folder: Path | None, recipient: str) -> File:
    """Seal every secret file of a stack into the backup. Raises CommandFailed, Rejected."""
    if folder is None:
        raise CommandFailed("there is no folder of secrets to back up: name it with --secrets-dir")
    found = await asyncio.to_thread(_read, folder)
    if not found:
        raise CommandFailed(f"there is no secret in {folder}")
    sealed = await asyncio.to_thread(seal, msgpack.packb(found), [recipient])
    digest = sha256_hex(sealed)
    file = File(file=f"secrets/{digest}.age", sha256=digest, size_bytes=len(sealed))
    await files.put(file.file, sealed)
    return file


async def unpack(files: Blobs, snapshot: Snapshot, identity: Path, into: Path) -> list[str]:
    """Write the secret files of a snapshot into a folder; return their names. None that is there is written over.

    Raises CommandFailed, Rejected.
    """
    if snapshot.secrets is None:
        raise CommandFailed(f"the backup {snapshot.name} holds no secrets: it was made without --with-secrets")
    try:
        sealed = (await files.get(snapshot.secrets.file)).data
    except BlobNotFound:
        raise Damaged(f"{snapshot.secrets.file} is missing") from None
    if sha256_hex(sealed) != snapshot.secrets.sha256:
        raise Damaged(f"{snapshot.secrets.file} is damaged: its SHA-256 is not {snapshot.secrets.sha256}")
    return await asyncio.to_thread(_unpack, sealed, identity, into)


def signer_of(folder: Path | None) -> str | None:
    """Return by what the secrets of a folder are known: they come and go with the signing key. None: there is none."""
    path = folder / VERIFYING_KEY if folder else None
    return sha256_hex(path.read_bytes().strip()) if path and path.is_file() else None


def _read(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise CommandFailed(f"{folder} is no folder of secrets")
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def _unpack(sealed: bytes, identity: Path, into: Path) -> list[str]:
    try:
        key = identity.read_text()
    except OSError as error:
        raise CommandFailed(f"{identity} can't be read: {error.strerror}") from error
    found: dict[str, bytes] = msgpack.unpackb(open_sealed(sealed, key))
    others = [name for name, data in found.items() if os.sep in name or _is_other(into / name, data)]
    if others:
        raise CommandFailed(f"{into} holds another {', '.join(sorted(others))} already: move what is there away first")
    private_directory(into)
    for name, data in found.items():
        if not (into / name).exists():
            write_private(into / name, data)
    return sorted(found)


def _is_other(path: Path, data: bytes) -> bool:
    return path.exists() and path.read_bytes() != data
