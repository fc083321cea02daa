"""Makes models that look published: whole copies of a real one, and copies that somebody tampered with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from labelstream import keys
from labelstream.blobs.s3 import S3Blobs
from labelstream.bundle import MANIFEST, SIGNATURE, Manifest, ModelKey
from labelstream.events.base import MODEL_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelEvent, ModelExported, ModelPromoted
from labelstream.protection.bundling import read_manifest, sealed_files
from labelstream.protection.grants import grant_content, make_grant, open_model_key, seal_model_key
from labelstream.protection.promotions import PromotionStatement, promote
from labelstream.protection.sealing import recipient_of
from labelstream.protection.signing import sign_directory
from labelstream.service.health import Health
from labelstream.values import FileRef, short_id
from labelstream_local.secrets_store import DEVICE, DEVICE_IDENTITY, SIGNING_KEY, VAULT_IDENTITY
from labelstream_local.stack import Stack

from .watching import Onlooker, all_ready, eventually

PROJECT = "default"


@dataclass(frozen=True)
class Whole:
    """A model as it was before it was split: what only its makers have."""

    exported: ModelExported
    manifest: Manifest
    files: dict[str, bytes]  # sealed, by name
    key: ModelKey


@dataclass(frozen=True)
class Forge:
    """Writes to a stack's buckets and to `model-events` as somebody with every key."""

    see: Onlooker
    scratch: Path

    @property
    def stack(self) -> Stack:
        return self.see.stack

    @property
    def own_key(self) -> Path:
        """The key that the stack's devices trust."""
        return self.stack.secrets.path(SIGNING_KEY)

    async def whole(self, exported: ModelExported) -> Whole:
        """Put a published model together again."""
        models, resources, vault = self._models(), self._resources(), self.stack.secrets.read(VAULT_IDENTITY)
        key = open_model_key((await resources.get(keys.model_key(PROJECT, exported.model))).data, vault)
        manifest = read_manifest((await models.get(exported.manifest.key)).data)
        files = {}
        for file in sealed_files(manifest):
            big = (await models.get(keys.big_part(PROJECT, exported.model, file.file))).data
            files[file.file] = key.small_parts[file.file] + big
        return Whole(exported, manifest, files, key)

    async def copy(
        self, whole: Whole, called: str, *, signed_by: Path, flip: bool = False, grant: bool = True
    ) -> ModelExported:
        """Publish a copy under an id of its own; `flip` changes one byte of the big part after it was signed."""
        model = short_id("copy", called)
        manifest, signature = self._signed(whole, model, signed_by)
        key = whole.key.model_copy(update={"model": model})
        refs = {}
        for name, content in {MANIFEST: manifest, SIGNATURE: signature}.items():
            await self._models().put(keys.model(PROJECT, model, name), content)
            refs[name] = FileRef.of(keys.model(PROJECT, model, name), content)
        for name, sealed in whole.files.items():
            big = bytearray(sealed[len(key.small_parts[name]) :])
            if flip and big:
                big[len(big) // 2] ^= 1
            await self._models().put(keys.big_part(PROJECT, model, name), bytes(big))
        if grant:
            await self._grant(model, key)
        exported = whole.exported.model_copy(
            update={"model": model, "manifest": refs[MANIFEST], "signature": refs[SIGNATURE]}
        )
        await self.say(exported)
        return exported

    async def make_known(self) -> None:
        """Have the exporter read what was said in its place: it does when it starts."""
        self.stack.kill("exporter")
        await eventually(lambda: all_ready(self.stack))

    async def promote(self, exported: ModelExported, *, signed_by: Path, number: int | None = None) -> ModelPromoted:
        """Say that a model serves from now on; by default under the next number."""
        if number is None:
            number = 1 + max(each.number for each in await self.see.said(ModelPromoted))
        statement = PromotionStatement(
            project=PROJECT,
            model=exported.model,
            number=number,
            manifest_sha256=exported.manifest.sha256,
            signed_ms=0,
        )
        signed = promote(statement, signed_by)
        promoted = ModelPromoted(
            model=exported.model,
            number=number,
            manifest=exported.manifest,
            signature=exported.signature,
            statement=signed.statement,
            statement_signature=signed.signature,
            reason="a test wants it",
        )
        await self.say(promoted)
        return promoted

    async def say(self, event: ModelEvent) -> None:
        """Publish an event under a name of our own."""
        number = 1 + await self.see.broker.last_publishing_id(MODEL_EVENTS, "forger")
        envelope = Envelope.of(event, source="forger", answers=str(number), project=PROJECT)
        publisher = self.see.broker.publisher(MODEL_EVENTS, "forger")
        await publisher.publish([(number, envelope.to_message())])
        await publisher.close()

    def _signed(self, whole: Whole, model: str, signed_by: Path) -> tuple[bytes, bytes]:
        directory = self.scratch / model
        directory.mkdir(parents=True)
        for name, sealed in whole.files.items():
            (directory / name).write_bytes(sealed)
        manifest = whole.manifest.model_copy(update={"model": model, "files": {}})  # a report is not copied
        (directory / MANIFEST).write_text(manifest.model_dump_json(indent=2, by_alias=True))
        sign_directory(directory, directory / SIGNATURE, signed_by)
        return (directory / MANIFEST).read_bytes(), (directory / SIGNATURE).read_bytes()

    async def _grant(self, model: str, key: ModelKey) -> None:
        vault = recipient_of(self.stack.secrets.read(VAULT_IDENTITY))
        device = recipient_of(self.stack.secrets.read(DEVICE_IDENTITY))
        await self._resources().put(keys.model_key(PROJECT, model), seal_model_key(key, vault))
        await self._resources().put(keys.grant(PROJECT, model, DEVICE), make_grant(grant_content(key, DEVICE), device))

    def _models(self) -> S3Blobs:
        return S3Blobs(self.stack.store, self.stack.store.model_bucket, Health())

    def _resources(self) -> S3Blobs:
        return S3Blobs(self.stack.store, self.stack.store.resources_bucket, Health())
