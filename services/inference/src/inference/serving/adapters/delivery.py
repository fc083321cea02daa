"""Brings a promoted bundle onto the shelf: small parts by the grant, the rest from the model bucket."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from inference.serving.adapters.shelf import on_disk
from inference.serving.loading import Loader
from inference.serving.ports import Grants, Shelf
from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected
from labelstream.events.model import ModelPromoted
from labelstream.protection.assembling import assemble, fetch_beside
from labelstream.protection.promotions import PromotionStatement
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
        content = await fetch_beside(self.models, promotion.manifest.key)
        if sha256_hex(content) != statement.manifest_sha256:
            raise Rejected(
                "model.manifest_differs",
                f"the manifest of {model} is not the one that was promoted",
                "Somebody changed it in the model bucket; export the model again.",
            )
        sealed = await self.grants.fetch(project, model)
        grant = await asyncio.to_thread(self.loader.open_grant, sealed, model=model, project=project)
        directory = await asyncio.to_thread(self.shelf.place, project, statement.number)
        with on_disk():
            await assemble(self.models, content, grant.small_parts, directory)
        await asyncio.to_thread(self.shelf.put_grant, project, statement.number, sealed)
        return directory
