"""Brings a promoted bundle onto the shelf: small parts by the grant, big parts from the model bucket."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from inference.loading import Loader
from inference.ports import Grants, Shelf
from labelstream import keys
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.bundle import MANIFEST, SIGNATURE, GrantContent, Manifest, SealedFile
from labelstream.errors import Rejected, Unavailable
from labelstream.events.model import ModelPromoted
from labelstream.protection.bundling import read_manifest, sealed_files
from labelstream.protection.promotions import PromotionStatement
from labelstream.protection.splitting import join
from labelstream.values import sha256_hex


@dataclass(frozen=True)
class Delivery:
    """Fetches sealed bundles."""

    models: Blobs
    grants: Grants
    shelf: Shelf
    loader: Loader

    async def fetch(self, statement: PromotionStatement, promotion: ModelPromoted) -> Path:
        """Put the promoted model's sealed files and grant on the shelf; return the signed directory.

        Raises Rejected when a part is not what was promised, Unavailable when it can't be had now.
        """
        project, model = statement.project, statement.model
        content = await self._get(promotion.manifest.key)
        if sha256_hex(content) != statement.manifest_sha256:
            raise Rejected(
                "model.manifest_differs",
                f"the manifest of {model} is not the one that was promoted",
                "Somebody changed it in the model bucket; export the model again.",
            )
        manifest = read_manifest(content)
        sealed = await self.grants.fetch(project, model)
        grant = self.loader.open_grant(sealed, model=model, project=project)
        directory = await asyncio.to_thread(self.shelf.place, project, statement.number)
        await asyncio.to_thread((directory / MANIFEST).write_bytes, content)
        signature = await self._get(promotion.signature.key)
        await asyncio.to_thread((directory / SIGNATURE).write_bytes, signature)
        for file in sealed_files(manifest):
            whole = await self._sealed_file(manifest, file, grant)
            await asyncio.to_thread((directory / file.file).write_bytes, whole)
        await asyncio.to_thread(self.shelf.put_grant, project, statement.number, sealed)
        return directory

    async def _sealed_file(self, manifest: Manifest, file: SealedFile, grant: GrantContent) -> bytes:
        small = grant.small_parts.get(file.file)
        if small is None:
            raise Rejected(
                "grant.no_small_part", f"the grant holds no small part of {file.file}", "Ask for a new grant."
            )
        if len(small) == file.sealed_bytes:  # a short file travels in the grant alone
            return small
        return join(small, await self._get(keys.big_part(manifest.project, manifest.model, file.file)))

    async def _get(self, key: str) -> bytes:
        try:
            return (await self.models.get(key)).data
        except BlobNotFound as error:
            raise Unavailable("model bucket", f"it has no {key}") from error
