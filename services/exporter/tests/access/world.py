"""A decider's view of devices, people and models, on doubles with real keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from exporter.access.devices import AddingDevice, Devices, RevokingDevice
from exporter.access.granting import Granting
from exporter.access.keys import AddingKey, RevokingKey, keys_of
from exporter.access.users import AddingUser, RevokingUser, users_of
from exporter.access.vault import Vault
from exporter.requesting import Handler, Requests
from labelstream import keys
from labelstream.access import Device
from labelstream.answers import read_answer
from labelstream.blobs.memory import MemoryBlobs
from labelstream.bundle import ArtifactFacts, GoldenSet, ManifestFacts, Thresholds
from labelstream.classes import ClassSchema
from labelstream.errors import Rejected
from labelstream.events.access import AccessEvent
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelEvent, ModelExported, ModelWithdrawn
from labelstream.events.training import Metrics
from labelstream.jobs.memory import MemoryJobQueue
from labelstream.jobs.ports import Job
from labelstream.model_requests import (
    AddDevice,
    AddKey,
    AddUser,
    Answer,
    GrantRequest,
    ModelRequest,
    RevokeDevice,
    RevokeKey,
    RevokeUser,
)
from labelstream.models import ModelBook
from labelstream.protection.bundling import PlainArtifact, put_together, verify_bundle, write_bundle
from labelstream.protection.grants import open_grant, seal_model_key
from labelstream.protection.opening import OpenedBundle
from labelstream.protection.sealing import new_identity, recipient_of
from labelstream.protection.signing_keys import new_signing_key
from labelstream.service.health import Health
from labelstream.values import FileRef, Position, sha256_hex

E = TypeVar("E", bound=AccessEvent)

PROJECT = "default"
METRICS = Metrics(map50=0.9, map50_95=0.5, precision=0.9, recall=0.8, images=5)
FILE = FileRef.of("a file", b"")
WEIGHTS = bytes(range(256)) * 1024  # 256 KiB: longer than a small part


def device(name: str, identity: str, **more: object) -> Device:
    """Describe a device as the command does."""
    told = {"recipient": recipient_of(identity), "token_sha256": sha256_hex(f"token of {name}".encode()), **more}
    return Device.model_validate({"name": name, **told})


@dataclass
class World:
    """What outlives a decider, and one decider's parts."""

    scratch: Path
    vault_text: str = field(default_factory=lambda: new_identity()[0])
    resources: MemoryBlobs = field(default_factory=MemoryBlobs)
    models: MemoryBlobs = field(default_factory=MemoryBlobs)
    data: MemoryBlobs = field(default_factory=MemoryBlobs)
    queue: MemoryJobQueue = field(default_factory=MemoryJobQueue)
    book: ModelBook = field(default_factory=ModelBook)
    health: Health = field(default_factory=Health)
    said: list[tuple[str, AccessEvent]] = field(default_factory=list)  # what each answers, and the event
    heard_of: set[str] = field(default_factory=set)  # the projects that events were about

    def __post_init__(self) -> None:
        private, public = new_signing_key()
        self.scratch.mkdir(parents=True, exist_ok=True)
        (self.scratch / "signer.pem").write_bytes(private)
        (self.scratch / "signer.pub").write_bytes(public)
        self.start()

    def start(self) -> None:
        """Start the decider anew: it knows what lies in the buckets, and the models."""
        self.vault = Vault.read(self.vault_text, self.resources)
        self.granting = Granting(self.resources, self.vault, self.book, self.say, self.health)
        self.devices = Devices.of(self.granting)
        users = users_of(self.resources, self.health, self.say)
        api_keys = keys_of(self.resources, self.health, self.say)
        handlers: dict[type[Any], Handler] = {
            AddDevice: AddingDevice(self.devices),
            RevokeDevice: RevokingDevice(self.devices),
            AddUser: AddingUser(users),
            RevokeUser: RevokingUser(users),
            AddKey: AddingKey(api_keys),
            RevokeKey: RevokingKey(api_keys),
        }
        self.requests = Requests(self.queue, self.data, handlers, self.granting.on_request, self.health)

    async def say(self, event: AccessEvent, project: str, *, answers: str) -> None:
        """Store an event of the audit log."""
        self.said.append((answers, event))
        self.heard_of.add(project)

    def events(self, kind: type[E]) -> list[E]:
        """Return what the audit log says, each event once."""
        return [event for event in dict(self.said).values() if isinstance(event, kind)]

    async def ask(self, what: object, *, by: str = "ada", why: str = "") -> Answer:
        """Ask as a person does, and return the answer."""
        request = ModelRequest.model_validate({"what": what, "by": by, "why": why, "answer": uuid4().hex})
        assert request.answer is not None
        await self.requests.answer(job(request.model_dump(mode="json"), request.answer))
        answer = await read_answer(Answer, self.data, PROJECT, request.answer)
        assert answer is not None
        return answer

    async def ask_for_grant(self, model: str, name: str) -> None:
        """Ask as a device does, by the public API."""
        await self.requests.make(job(GrantRequest(model=model, device=name).model_dump(mode="json"), name))

    async def publish(self, model: str, project: str = PROJECT) -> None:
        """Seal, sign and publish a model, as the decider does when it was proved."""
        folder = self.scratch / model
        folder.mkdir()
        (folder / "plain").write_bytes(WEIGHTS + model.encode())
        facts = ManifestFacts(
            model=model,
            project=project,
            job=f"job of {model}",
            dataset_id="d",
            created_ms=0,
            class_schema=ClassSchema(name="cars", classes=("car",)),
            image_size=64,
            thresholds=Thresholds(),
            validation=METRICS,
            test=METRICS,
            versions={},
        )
        how = {"name": "onnx-fp32", "format": "onnx", "precision": "fp32"}
        artifact = ArtifactFacts(**how, input="float32-nchw-rgb-0-1", output="raw-yolo")
        golden = GoldenSet(images=(), max_box_px=1, max_score=0.1)
        plain = PlainArtifact(artifact, folder / "plain")
        written = write_bundle(folder / "bundle", facts, [plain], golden, self.scratch / "signer.pem")
        for name, path in written.write_big_parts(folder / "parts").items():
            await self.models.upload(path, keys.big_part(project, model, name))
        for path in (folder / "bundle").glob("m*"):  # the manifest and the signature
            await self.models.upload(path, keys.model(project, model, path.name))
        sealed = seal_model_key(written.key, self.vault.recipient)
        await self.resources.put(keys.model_key(project, model), sealed)
        exported = ModelExported(
            model=model,
            input=Position(stream="training-events", offset=0),
            job=facts.job,
            dataset_id="d",
            manifest=FILE,
            signature=FILE,
            artifacts=(),
            test=METRICS,
        )
        self.hear(exported, project)

    def hear(self, event: ModelEvent, project: str = PROJECT) -> None:
        """Fold an event of `model-events`."""
        self.book.fold(0, Envelope.of(event, source="exporter", answers=event.model, project=project))

    async def withdraw(self, model: str) -> None:
        """Withdraw a model, as the registry does."""
        self.hear(ModelWithdrawn(model=model, reason="it sees ghosts"))
        await self.granting.withdraw(PROJECT, model)

    async def granted(self, model: str, name: str) -> bytes | None:
        """Return a device's grant as it lies there; None when there is none."""
        where = keys.grant(PROJECT, model, name)
        return (await self.resources.get(where)).data if await self.resources.head(where) else None

    async def open(self, model: str, identity: str, grant: bytes | None, now_ms: int = 0) -> OpenedBundle:
        """Open a model as a device does: from the public bucket, with a grant and its own key. Raises Rejected."""
        if grant is None:
            raise Rejected("test.no_grant", "the device has no grant", "")
        folder = self.scratch / uuid4().hex
        folder.mkdir()
        big: dict[str, Path] = {}
        async for info in self.models.list(keys.model(PROJECT, model)):
            path = folder / info.key.rsplit("/", 1)[1]
            await self.models.download(info.key, path)
            if path.suffix == ".big":
                big[path.stem] = path.rename(self.scratch / uuid4().hex)
        content = open_grant(grant, identity, now_ms=now_ms)
        put_together(folder, content.small_parts, big)
        return verify_bundle(folder, [self.scratch / "signer.pub"]).open(content.identity)


def job(payload: dict[str, Any], name: str, project: str = PROJECT) -> Job:
    """Return a request as it lies in a queue."""
    return Job(project=project, id=name, payload=payload)


def everything(blobs: MemoryBlobs, *, but: tuple[str, ...] = ()) -> dict[str, bytes]:
    """Return every object of a bucket, except those whose keys hold one of `but`."""
    return {key: data for key, (data, _, _) in blobs._objects.items() if not any(each in key for each in but)}
