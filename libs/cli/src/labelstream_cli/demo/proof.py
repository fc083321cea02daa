"""Checks a promoted model as a device would: the promotion, the signature, the seals."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import httpx

from labelstream import keys
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.bundle import MANIFEST, SIGNATURE, Manifest, SealedFile
from labelstream.errors import Rejected
from labelstream.events.model import ModelPromoted
from labelstream.protection.bundling import put_together, read_manifest, sealed_files, verify_bundle
from labelstream.protection.grants import check_grant, open_grant
from labelstream.protection.promotions import check_promotion
from labelstream.protection.sealing import open_sealed
from labelstream.values import sha256_hex
from labelstream_cli.running import CommandFailed
from labelstream_local.secrets_store import DEVICE_IDENTITY, DEVICE_TOKEN, VERIFYING_KEY
from labelstream_local.stack import Stack


@dataclass(frozen=True)
class Proof:
    """What was found about a bundle. It exists only where the signature holds."""

    manifest: Manifest
    sealed: bool  # no big part opens alone, not even with the model's key
    signature: str = "verified"


async def prove(stack: Stack, models: Blobs, promoted: ModelPromoted, project: str, directory: Path) -> Proof:
    """Fetch a bundle's parts into `directory`, put it together, verify and open it.

    Raises Rejected when anything is not what was signed, CommandFailed when something can't be had.
    """
    trusted = [stack.secrets.path(VERIFYING_KEY)]
    statement = check_promotion(promoted.statement, promoted.statement_signature, trusted, project=project, above=0)
    content = await _get(models, promoted.manifest.key)
    if sha256_hex(content) != statement.manifest_sha256:
        raise Rejected("model.manifest_differs", "the manifest is not the one that was promoted", "Export it again")
    manifest = read_manifest(content)
    signed = {MANIFEST: content, SIGNATURE: await _get(models, promoted.signature.key)}
    signed |= {name: await _get(models, keys.model(project, manifest.model, name)) for name in manifest.files}
    parts = {file.file: await _big_part(models, manifest, file) for file in sealed_files(manifest)}
    _write(directory, signed)
    big_parts = _write(directory.with_name(f"{directory.name}-parts"), parts)
    sealed_grant = await asyncio.to_thread(_fetch_grant, stack, project, promoted.model)
    grant = open_grant(sealed_grant, stack.secrets.read(DEVICE_IDENTITY), now_ms=int(time.time() * 1000))
    check_grant(grant, model=promoted.model, project=project)
    put_together(directory, grant.small_parts, big_parts)
    verified = await asyncio.to_thread(verify_bundle, directory, trusted)
    await asyncio.to_thread(verified.open, grant.identity)
    return Proof(verified.manifest, not any(_opens(part, grant.identity) for part in parts.values()))


async def _big_part(models: Blobs, manifest: Manifest, file: SealedFile) -> bytes:
    if file.small_bytes >= file.sealed_bytes:  # all of it travels in the grants
        return b""
    return await _get(models, keys.big_part(manifest.project, manifest.model, file.file))


def _write(directory: Path, files: dict[str, bytes]) -> dict[str, Path]:
    directory.mkdir(parents=True, exist_ok=True)
    paths = {name: directory / name for name in files}
    for name, path in paths.items():
        path.write_bytes(files[name])
    return paths


def _fetch_grant(stack: Stack, project: str, model: str) -> bytes:
    url = f"{stack.url('exporter-serve')}/v1/projects/{project}/models/{model}/grant"
    try:
        answer = httpx.get(url, headers={"authorization": f"Bearer {stack.secrets.read(DEVICE_TOKEN)}"}, timeout=30)
    except httpx.HTTPError as error:
        raise CommandFailed(f"the exporter's API does not answer: {error}") from error
    if answer.status_code != HTTPStatus.OK:
        raise CommandFailed(f"the exporter's API gives no grant of {model}: {answer.status_code} {answer.text[:200]}")
    return answer.content


def _opens(part: bytes, identity: str) -> bool:
    try:
        open_sealed(part, identity)
    except Rejected:
        return False
    return True


async def _get(blobs: Blobs, key: str) -> bytes:
    try:
        return (await blobs.get(key)).data
    except BlobNotFound as error:
        raise CommandFailed(f"the model bucket has no {key}") from error
