"""Seals, signs and publishes a bundle: the big parts for everybody, the small parts for the grants."""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from exporter.domain import Trained
from exporter.settings import DeciderGroup
from exporter.worker import ONNX_FP32, STORE, ExportLeft
from labelstream import keys
from labelstream.blobs.checked import download_checked, read_checked
from labelstream.blobs.ports import Blobs
from labelstream.bundle import (
    MANIFEST,
    SIGNATURE,
    ArtifactFacts,
    GoldenImage,
    GoldenSet,
    ManifestFacts,
    Thresholds,
)
from labelstream.events.model import ArtifactRef, ModelExported
from labelstream.protection.bundling import PlainArtifact, WrittenBundle, write_bundle
from labelstream.protection.grants import seal_model_key
from labelstream.protection.sealing import new_identity
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.values import FileRef, short_id
from labelstream_datasets.loading import load_description


@dataclass(frozen=True)
class Publishing:
    """The signer: sees only finished files."""

    data: Blobs
    models: Blobs
    resources: Blobs
    settings: DeciderGroup
    vault_recipient: str
    scratch: Path
    health: Health

    async def publish(self, trained: Trained, left: ExportLeft) -> ModelExported:
        """Publish the bundle of one export: exactly the files that were proved.

        Raises Rejected when they are gone or others, and Unavailable when they can't be read now. What is
        sealed once is published: a store that goes away in between is waited for.

        A model is named by its training and by the key pair made for it, so that a second try after a
        crash never mixes its files with those of the first.
        """
        identity, recipient = new_identity()
        model = short_id("model", trained.project, trained.training.job, recipient)
        folder = self.scratch / model
        try:
            facts = await self._facts(model, trained, left)
            plain = folder / "plain.onnx"
            folder.mkdir(parents=True)
            await download_checked(self.data, left.artifact, plain)
            artifact = PlainArtifact(_artifact_facts(left), plain)
            golden = await self._golden(left)
            bundle = await asyncio.to_thread(
                write_bundle, folder / "bundle", facts, [artifact], golden, self.settings.signing_key, identity
            )
            return await self._upload(trained, left, bundle, folder / "parts")
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _facts(self, model: str, trained: Trained, left: ExportLeft) -> ManifestFacts:
        training = trained.training
        description = await load_description(self.data, training.dataset.description)
        return ManifestFacts(
            model=model,
            project=trained.project,
            job=training.job,
            dataset_id=training.dataset.id,
            created_ms=int(time.time() * 1000),
            class_schema=description.class_schema,
            image_size=left.image_size,
            thresholds=Thresholds(confidence=self.settings.confidence, iou=self.settings.iou),
            validation=training.validation,
            test=training.test,
            versions=left.versions,
        )

    async def _golden(self, left: ExportLeft) -> GoldenSet:
        images = [
            GoldenImage(image=await read_checked(self.data, each.image), boxes=each.boxes) for each in left.golden
        ]
        # Another decoder or processor may differ a little from the exporter's; a wrong model differs a lot.
        return GoldenSet(images=tuple(images), max_box_px=2.0, max_score=0.02)

    async def _upload(self, trained: Trained, left: ExportLeft, bundle: WrittenBundle, parts: Path) -> ModelExported:
        project, model = trained.project, bundle.manifest.model
        sealed_key = seal_model_key(bundle.key, self.vault_recipient)
        await self._put(self.resources, keys.model_key(project, model), sealed_key)
        big_parts: dict[str, FileRef] = {}
        for name, path in bundle.write_big_parts(parts).items():
            key = keys.big_part(project, model, name)
            await self._send(path, key)
            big_parts[name] = await asyncio.to_thread(FileRef.of_file, key, path)
        written = {}
        for name in (MANIFEST, SIGNATURE):
            content, key = (bundle.directory / name).read_bytes(), keys.model(project, model, name)
            await self._put(self.models, key, content)
            written[name] = FileRef.of(key, content)
        return ModelExported(
            model=model,
            input=trained.input,
            job=trained.training.job,
            dataset_id=trained.training.dataset.id,
            manifest=written[MANIFEST],
            signature=written[SIGNATURE],
            artifacts=tuple(
                ArtifactRef(
                    name=each.name,
                    format=each.format,
                    precision=each.precision,
                    big_part=big_parts[each.file],
                    sealed_sha256=each.sealed_sha256,
                    agreement=left.agreement,
                )
                for each in bundle.manifest.artifacts
            ),
            test=trained.training.test,
        )

    async def _put(self, blobs: Blobs, key: str, data: bytes) -> None:
        await patiently(self.health, STORE, lambda: blobs.put(key, data))

    async def _send(self, path: Path, key: str) -> None:
        await patiently(self.health, STORE, lambda: self.models.upload(path, key))


def _artifact_facts(left: ExportLeft) -> ArtifactFacts:
    return ArtifactFacts(
        name=ONNX_FP32,
        format="onnx",
        precision="fp32",
        input="float32-nchw-rgb-0-1",
        output="raw-yolo",
        max_batch=1,
        agreement=left.agreement,
    )
