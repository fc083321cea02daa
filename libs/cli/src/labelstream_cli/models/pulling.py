"""Pulling a model: its parts are fetched, put together and verified apart, and moved into place as the last step."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from labelstream.blobs.ports import Blobs
from labelstream.bundle import GrantContent, Manifest
from labelstream.classes import ClassSchema
from labelstream.errors import Rejected
from labelstream.protection.assembling import Tell, assemble, fetch_beside, not_told
from labelstream.protection.grants import check_grant, open_grant
from labelstream.protection.opening import VerifiedBundle
from labelstream.protection.promotions import check_promotion
from labelstream.protection.pulled import Arriving, Pulled, PulledPromotion, arriving
from labelstream.protection.verifying import read_manifest, sealed_files, verify_bundle
from labelstream.values import sha256_hex
from labelstream_cli.models.exporter_api import SERVING, Offered

Outcome = Literal["pulled", "renewed", "known"]


class Exporter(Protocol):
    """Who tells which models there are, and gives grants. Every method raises Rejected, Unavailable."""

    async def find(self, told: str) -> Offered:
        """Return the model that serves, or the one whose id is or begins with `told`."""
        ...

    async def grant(self, model: str) -> bytes:
        """Return this device's sealed grant of a model."""
        ...


@dataclass(frozen=True)
class PulledModel:
    """What became of a pull."""

    outcome: Outcome
    manifest: Manifest
    promotion: int | None  # its number
    directory: Path

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "outcome": self.outcome,
            "directory": str(self.directory),
            "project": self.manifest.project,
            "model": self.manifest.model,
            "edition": self.manifest.edition,
            "promotion": self.promotion,
            "artifacts": [each.name for each in self.manifest.artifacts],
            "sealed_bytes": sum(file.sealed_bytes for file in sealed_files(self.manifest)),
        }


@dataclass(frozen=True)
class Puller:
    """Brings models to one device."""

    exporter: Exporter
    models: Blobs
    trusted_keys: tuple[Path, ...]
    identity: str = field(repr=False)  # the device's private key, which is written nowhere
    classes: ClassSchema | None = None  # what the ids of the project mean
    tell: Tell = not_told

    async def pull(self, told: str, root: Path) -> PulledModel:
        """Bring a model to the directory `root`; nothing is fetched that lies there.

        Raises Rejected when it is not what its makers signed, Unavailable, Misconfigured.
        """
        with arriving(root) as place:
            here = await asyncio.to_thread(self._here, place.pulled)
            offered = await self.exporter.find(told)
            if offered.withdrawn:
                raise Rejected(
                    "model.withdrawn", f"the model {offered.model} was withdrawn", "Pull `serving`, or another model"
                )
            number = self._check_promotion(offered, self._least(told, offered, place.pulled))
            if here is not None and here.manifest_sha256 == offered.manifest.sha256:
                pulled = PulledModel(await self._renew(place, here, offered), here.manifest, number, root)
            else:
                pulled = PulledModel("pulled", await self._bring(place, offered, here), number, root)
            if told == SERVING and number is not None:
                await asyncio.to_thread(place.remember, offered.project, number)
            return pulled

    def _here(self, pulled: Pulled) -> VerifiedBundle | None:
        """Return the bundle that lies there, if it is as it was signed."""
        if not pulled.is_whole:
            return None
        try:
            return verify_bundle(pulled.bundle, self.trusted_keys)
        except Rejected:  # it is replaced by what is pulled
            return None

    def _least(self, told: str, offered: Offered, pulled: Pulled) -> int:
        """Return the least promotion that is believed: what serves now was not promoted before what served then."""
        if told != SERVING:
            return 1
        before = pulled.said()
        here = before.number if before is not None and before.project == offered.project else 1
        return max(here, pulled.highest(offered.project), 1)

    def _check_promotion(self, offered: Offered, least: int) -> int | None:
        """Return the promotion's number; it must be signed, of this model, and no older than `least`."""
        if offered.promotion is None:
            return None
        said = check_promotion(
            offered.promotion.statement,
            offered.promotion.statement_signature,
            self.trusted_keys,
            project=offered.project,
            above=least - 1,
        )
        if (said.model, said.manifest_sha256) != (offered.model, offered.manifest.sha256):
            reason = f"promotion {said.number} is of {said.model}, with another manifest than {offered.model} has"
            raise Rejected("promotion.other_model", reason, "Ask those who run the exporter")
        return said.number

    async def _renew(self, place: Arriving, here: VerifiedBundle, offered: Offered) -> Outcome:
        """Keep the bundle that lies there; bring what is new of its grant and promotion."""
        grant = place.pulled.grant
        is_good = grant is not None and self._opens(grant, here.manifest)
        if is_good and place.pulled.promotion_or_none() == offered.promotion:
            return "known"
        sealed = grant if is_good and grant is not None else await self.exporter.grant(offered.model)
        self._open(sealed, here.manifest)
        await asyncio.to_thread(_put_in_place, place, sealed, offered.promotion)
        return "renewed"

    async def _bring(self, place: Arriving, offered: Offered, here: VerifiedBundle | None) -> Manifest:
        content = await fetch_beside(self.models, offered.manifest.key)
        if sha256_hex(content) != offered.manifest.sha256:
            raise Rejected(
                "model.manifest_differs",
                f"the manifest of {offered.model} is not the one that was exported",
                "Somebody changed it in the model bucket; export the model again",
            )
        manifest = read_manifest(content)
        if (manifest.project, manifest.model) != (offered.project, offered.model):
            reason = f"the manifest of {offered.model} is that of {manifest.project}/{manifest.model}"
            raise Rejected("bundle.other_model", reason, "Ask those who run the exporter")
        sealed = await self.exporter.grant(offered.model)
        grant = self._open(sealed, manifest)
        await asyncio.to_thread(place.begin)
        await assemble(self.models, content, grant.small_parts, place.bundle, tell=self.tell)
        await asyncio.to_thread(self._verify, place.bundle, grant, here)
        await asyncio.to_thread(_put_in_place, place, sealed, offered.promotion)
        return manifest

    def _verify(self, directory: Path, grant: GrantContent, here: VerifiedBundle | None) -> None:
        """Check the signature, the classes, and that every file opens; nothing plain is kept."""
        known = self.classes
        if known is None and here is not None and here.manifest.project == grant.project:
            known = here.manifest.class_schema  # what this device's users take the ids for
        verified = verify_bundle(directory, self.trusted_keys, classes=known)
        for file in sealed_files(verified.manifest):
            verified.prove(grant.identity, file)

    def _open(self, sealed: bytes, manifest: Manifest) -> GrantContent:
        grant = open_grant(sealed, self.identity, now_ms=int(time.time() * 1000))
        check_grant(grant, model=manifest.model, project=manifest.project)
        return grant

    def _opens(self, sealed: bytes, manifest: Manifest) -> bool:
        try:
            self._open(sealed, manifest)
        except Rejected:  # it has ended, or is another device's: a new one is asked for
            return False
        return True


def _put_in_place(place: Arriving, grant: bytes, promotion: PulledPromotion | None) -> None:
    place.put_beside(grant, promotion)
    place.put_in_place()
