"""Seals, signs and publishes a bundle: the big parts for everybody, the small parts for the grants."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from exporter.domain import Trained
from exporter.exporting.orders import ExportLeft, GoldenAnswer
from exporter.exporting.report import ReportContent, read_classes, write_report
from labelstream import keys
from labelstream.blobs.checked import download_checked, read_checked
from labelstream.blobs.ports import Blobs
from labelstream.bundle import (
    MANIFEST,
    REPORT,
    SIGNATURE,
    GoldenImage,
    GoldenSet,
    Manifest,
    ManifestFacts,
    Thresholds,
)
from labelstream.errors import Rejected
from labelstream.events.model import ArtifactRef, ModelExported
from labelstream.protection.bundling import PlainArtifact, WrittenBundle, write_bundle
from labelstream.protection.grants import seal_model_key
from labelstream.protection.sealing import new_identity
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.values import FileRef, short_id
from labelstream_datasets.loading import load_description

STORE = "object store"
# Another decoder or processor may differ a little from the exporter's; a wrong model differs a lot.
GOLDEN_BOX_PX, GOLDEN_SCORE = 2.0, 0.02


class FormatLost(Rejected):
    """What was built of one format is gone, or something else by now."""

    def __init__(self, format_name: str, error: Rejected) -> None:
        """Name the format, and what is wrong with its file."""
        super().__init__(error.rule, error.reason, error.hint)
        self.format = format_name


@dataclass(frozen=True)
class Edition:
    """What goes into a bundle."""

    number: int
    lefts: tuple[ExportLeft, ...]  # in their order in the bundle
    waiting: tuple[str, ...]  # formats that are not in it, and may come later


@dataclass(frozen=True)
class Publishing:
    """The signer: sees only finished files."""

    data: Blobs
    models: Blobs
    resources: Blobs
    signing_key: Path
    vault_recipient: str
    scratch: Path
    health: Health

    async def publish(self, trained: Trained, edition: Edition) -> ModelExported:
        """Publish one bundle: exactly the files that were proved.

        Raises FormatLost when one of them is gone or another, Rejected when anything else that the bundle needs is,
        and Unavailable when it can't be read now. What is sealed once is published: a store that goes away in between
        is waited for.

        A model is named by its training and by the key pair made for it, so that a second try after a
        crash never mixes its files with those of the first.
        """
        identity, recipient = new_identity()
        model = short_id("model", trained.project, trained.job, recipient)
        folder = self.scratch / model
        try:
            facts = await self._facts(model, trained, edition)
            artifacts = [await self._fetch(left, folder / "plain") for left in edition.lefts]
            golden = await self._golden(edition.lefts[0])
            await self._write_report(trained, facts, artifacts, edition, folder / "bundle")
            bundle = await asyncio.to_thread(
                write_bundle, folder / "bundle", facts, artifacts, golden, self.signing_key, identity
            )
            return await self._upload(trained, edition, bundle, folder / "parts")
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _facts(self, model: str, trained: Trained, edition: Edition) -> ManifestFacts:
        training, first = trained.training, edition.lefts[0]
        description = await load_description(self.data, training.dataset.description)
        return ManifestFacts(
            model=model,
            project=trained.project,
            job=training.job,
            dataset_id=training.dataset.id,
            created_ms=int(time.time() * 1000),
            class_schema=description.class_schema,
            image_size=first.image_size,
            thresholds=Thresholds(confidence=first.confidence, iou=first.iou),
            validation=training.validation,
            test=training.test,
            versions={name: version for left in reversed(edition.lefts) for name, version in left.versions.items()},
            edition=edition.number,
            reference=first.reference,
        )

    async def _fetch(self, left: ExportLeft, folder: Path) -> PlainArtifact:
        try:
            path = await download_checked(self.data, left.artifact, folder / left.facts.name)
        except Rejected as error:
            raise FormatLost(left.facts.name, error) from error
        return PlainArtifact(left.facts, path)

    async def _golden(self, left: ExportLeft) -> GoldenSet:
        """Collect the golden images; one that was erased meanwhile is left out, as long as there is another."""
        images: list[GoldenImage] = []
        gone: Rejected | None = None
        for each in left.golden:
            try:
                images.append(await self._golden_image(each))
            except Rejected as error:
                gone = error
        if gone is not None and not images:
            raise gone
        return GoldenSet(images=tuple(images), max_box_px=GOLDEN_BOX_PX, max_score=GOLDEN_SCORE)

    async def _golden_image(self, answer: GoldenAnswer) -> GoldenImage:
        return GoldenImage(image=await read_checked(self.data, answer.image), boxes=answer.boxes)

    async def _write_report(
        self, trained: Trained, facts: ManifestFacts, artifacts: list[PlainArtifact], edition: Edition, directory: Path
    ) -> None:
        classes = await read_classes(self.data, trained.training)
        sizes = {each.facts.name: each.path.stat().st_size for each in artifacts}
        content = ReportContent.of(trained.training, facts, edition.lefts, edition.waiting, sizes, classes)
        await asyncio.to_thread(write_report, content, directory / REPORT)

    async def _upload(self, trained: Trained, edition: Edition, bundle: WrittenBundle, parts: Path) -> ModelExported:
        project, model = trained.project, bundle.manifest.model
        sealed_key = seal_model_key(bundle.key, self.vault_recipient)
        await self._put(self.resources, keys.model_key(project, model), sealed_key)
        big_parts: dict[str, FileRef] = {}
        for name, path in (await asyncio.to_thread(bundle.write_big_parts, parts)).items():
            key = keys.big_part(project, model, name)
            await self._send(path, key)
            big_parts[name] = await asyncio.to_thread(FileRef.of_file, key, path)
        written = {}
        for name in (REPORT, MANIFEST, SIGNATURE):
            content, key = (bundle.directory / name).read_bytes(), keys.model(project, model, name)
            await self._put(self.models, key, content)
            written[name] = FileRef.of(key, content)
        return ModelExported(
            model=model,
            input=trained.input,
            job=trained.job,
            dataset_id=trained.training.dataset.id,
            manifest=written[MANIFEST],
            signature=written[SIGNATURE],
            artifacts=_artifacts(bundle.manifest, big_parts),
            test=trained.training.test,
            report=written[REPORT],
            edition=edition.number,
            waiting=edition.waiting,
            annotated_ms=trained.training.annotated_ms,
        )

    async def _put(self, blobs: Blobs, key: str, data: bytes) -> None:
        await patiently(self.health, STORE, lambda: blobs.put(key, data))

    async def _send(self, path: Path, key: str) -> None:
        await patiently(self.health, STORE, lambda: self.models.upload(path, key))


def _artifacts(manifest: Manifest, big_parts: Mapping[str, FileRef]) -> tuple[ArtifactRef, ...]:
    return tuple(
        ArtifactRef(
            name=each.name,
            format=each.format,
            precision=each.precision,
            big_part=big_parts[each.file],
            sealed_sha256=each.sealed_sha256,
            plain_sha256=each.plain_sha256,
            agreement=each.agreement,
            unproven=each.unproven,
        )
        for each in manifest.artifacts
    )
