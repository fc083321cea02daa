"""The legacy twin: written by the decider, handed out by the API, read by who knows nothing but the legacy form."""

from __future__ import annotations

import base64
import hashlib
import io
import tracemalloc
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pydantic import SecretStr

from exporter.domain import export_job_id
from exporter.exporting.orders import ExportLeft
from exporter.twin import LeftByWorkers, LegacySink, Twins
from exporter.twin_record import record_key
from labelstream import keys
from labelstream.access import User
from labelstream.blobs.leases import Leases
from labelstream.blobs.memory import MemoryBlobs
from labelstream.bundle import ArtifactFacts
from labelstream.errors import Rejected
from labelstream.events.access import AccessEvent
from labelstream.events.envelope import Envelope
from labelstream.events.model import Agreement, ArtifactRef, ModelExported, ModelWithdrawn
from labelstream.events.training import DatasetRef, TrainingFinished
from labelstream.jobs.desk import Desk
from labelstream.jobs.memory import MemoryJobQueue
from labelstream.jobs.ports import Job
from labelstream.jobs.worker import LEASE, RESULT, Attempt
from labelstream.model_requests import Answer, ModelRequest, WriteTwin
from labelstream.models import ModelBook
from labelstream.protection.legacy import open_legacy, seal_legacy, split_legacy
from labelstream.service.health import Health
from labelstream.values import FileRef, Position

from .world import EMAIL, METRICS, PASSWORD, a_file, bearing, exported, user

LEGACY_KEY = "the key string that readers have"
ONNX = bytes(range(256)) * 1500
FORMAT = "onnx-fp32"
HOW = {"name": FORMAT, "format": "onnx", "precision": "fp32"}
AGREES = Agreement(images=5, boxes=9, unmatched=0, max_box_px=0.01, max_score=0.001)
HARDWARE = {"cpu": "Ryzen 7", "gpu": "RTX 4070", "memory": "32 GB", "driveSerial": "S6P1"}


class Decider:
    """What a decider holds of published models, and what workers left of them."""

    def __init__(self, scratch: Path, resources: MemoryBlobs) -> None:
        self.scratch, self.resources = scratch, resources
        self.data, self.models, self.book = MemoryBlobs(), MemoryBlobs(), ModelBook()
        self.said: list[tuple[str, str, AccessEvent]] = []
        self.trainings: dict[str, TrainingFinished] = {}
        self.leases = Leases(self.data, "exporter")

    async def say(self, event: AccessEvent, project: str, *, answers: str) -> None:
        """Store an event of the audit log."""
        self.said.append((project, answers, event))

    def twins(self, key: str | None = LEGACY_KEY) -> Twins:
        secret = SecretStr(key) if key is not None else None
        finds = LeftByWorkers(Desk(MemoryJobQueue(), self.leases, self.data), self.trainings.get)
        scratch = self.scratch / "twins"
        return Twins(self.book, finds, self.data, self.models, self.resources, self.say, secret, scratch)

    async def write(self, key: str | None = LEGACY_KEY, **changes: str) -> Answer:
        """Ask for a twin, as a person does."""
        wish = {"model": "m1", "folder": "models", "file": "detector.onnx", **changes}
        return await self.twins(key)("default", ModelRequest(what=WriteTwin(**wish), by="grace"))

    async def build(self, model: str, plain: bytes, agreement: Agreement) -> FileRef:
        """Leave an artifact, as a worker does that built it."""
        training = trained(f"job of {model}")
        self.trainings[training.job] = training
        job = Job(project="default", id=export_job_id("default", training, FORMAT))
        lease = await self.leases.claim(keys.job("default", job.id, LEASE))
        assert lease is not None
        attempt = Attempt(job, lease.attempt, self.data, Health(), lease)
        artifact = await attempt.put("onnx-fp32.onnx", plain)
        facts = ArtifactFacts(**HOW, input="float32-nchw-rgb-0-1", output="raw-yolo", agreement=agreement)
        left = ExportLeft(
            artifact=artifact, facts=facts, golden=(), image_size=64, confidence=0.25, iou=0.45, versions={}
        )
        await attempt.put(RESULT, left.model_dump_json().encode())
        await lease.finish()
        return artifact

    async def export(self, model: str = "m1", plain: bytes = ONNX) -> ModelExported:
        """Have a model built and published, and hear of it."""
        built = await self.build(model, plain, AGREES)
        sealed = {"big_part": a_file("big"), "sealed_sha256": "0" * 64, "plain_sha256": built.sha256}
        reference = ArtifactRef(**HOW, **sealed, agreement=AGREES)
        event = exported(model).model_copy(update={"artifacts": (reference,)})
        self.book.fold(0, Envelope.of(event, source="exporter", answers=model, project="default"))
        return event


def trained(job: str) -> TrainingFinished:
    """Say that a training has finished."""
    position = Position(stream="annotation-events", offset=9)
    dataset = DatasetRef(id="d" * 64, description=a_file("dataset"), cut=position, samples={}, test_images=5)
    files = {"weights": a_file(f"weights of {job}"), "architecture": a_file("architecture")}
    return TrainingFinished(
        job=job, attempt=1, dataset=dataset, **files, best_epoch=1, validation=METRICS, test=METRICS
    )


@pytest.fixture
def decider(tmp_path, world) -> Decider:
    return Decider(tmp_path / "decider", world.resources)


@pytest.fixture
async def client(world, start, decider):
    """The API with a person and the decider's model."""
    await world.add(user())
    await world.say(await decider.export())
    return await start()


class DocumentedReader:
    """Reads as the documents say, with nothing of ours: a login, a small part, a big part, a key string."""

    def __init__(self, client, models: MemoryBlobs) -> None:
        self.client, self.models = client, models

    async def small_part(self, file: str = "detector.onnx") -> bytes:
        token = (await self.client.post("/login", json={"email": EMAIL, "password": PASSWORD})).json()["token"]
        body = {"password": PASSWORD, "hardware": HARDWARE, "fileName": file}
        answer = await self.client.post("/resources/get/models", headers=bearing(token), json=body)
        assert answer.status_code == 200, answer.text
        hashed = hashlib.sha384(f"{EMAIL}-{PASSWORD}-Ryzen 7;RTX 4070;32 GB;S6P1".encode()).digest()
        return self.decrypted(answer.content, base64.b64encode(hashed).decode())

    async def read(self, file: str = "detector.onnx") -> bytes:
        big = (await self.models.get(f"legacy/models/{file}")).data
        return self.decrypted(await self.small_part(file) + big, LEGACY_KEY)

    @staticmethod
    def decrypted(protected: bytes, key: str) -> bytes:
        cipher = Cipher(algorithms.AES(hashlib.sha256(key.encode()).digest()), modes.CBC(protected[:16]))
        decryptor = cipher.decryptor()
        padded = decryptor.update(protected[16:]) + decryptor.finalize()
        assert set(padded[-padded[-1] :]) == {padded[-1]}
        return padded[: -padded[-1]]


async def test_the_documented_reader_has_the_very_onnx_that_was_proved(world, client, decider):
    answer = await decider.write()
    assert answer.outcome == "done"
    assert "legacy/models/detector.onnx" in answer.reason
    assert await DocumentedReader(client, decider.models).read() == ONNX
    (fetched,) = world.audited()
    assert (fetched.name, fetched.resource, fetched.size_bytes) == ("ada", "models/detector.onnx", 3072)
    ((_, _, stored),) = decider.said
    assert (stored.name, stored.sha256) == ("grace", hashlib.sha256(ONNX).hexdigest())


async def test_a_newer_model_takes_the_name_over(world, client, decider):
    await decider.write()
    await world.say(await decider.export("m2", ONNX[::-1]))
    await decider.write(model="m2")
    assert await DocumentedReader(client, decider.models).read() == ONNX[::-1]


async def test_of_a_short_file_the_small_part_is_a_fifth(world, client, decider):
    await world.say(await decider.export("tiny", b"0123456789"))
    await decider.write(model="tiny")
    assert len(await DocumentedReader(client, decider.models).small_part()) == 6
    assert await DocumentedReader(client, decider.models).read() == b"0123456789"


async def test_no_plain_weights_and_no_file_stay_behind(client, decider):
    await decider.write()
    assert list((decider.scratch / "twins").iterdir()) == []


async def test_a_twin_of_a_withdrawn_model_is_neither_written_nor_handed_out(world, client, decider):
    await decider.write()
    event = ModelWithdrawn(model="m1", reason="it is wrong", by="grace")
    await world.say(event)
    body = {"password": PASSWORD, "hardware": HARDWARE, "fileName": "detector.onnx"}
    token = (await client.post("/login", json={"email": EMAIL, "password": PASSWORD})).json()["token"]
    answer = await client.post("/resources/get/models", headers=bearing(token), json=body)
    assert (answer.status_code, answer.json()["title"]) == (410, "model-withdrawn")
    decider.book.fold(9, Envelope.of(event, source="exporter", answers="w", project="default"))
    with pytest.raises(Rejected, match=r"model.withdrawn"):
        await decider.write()


async def test_a_twin_is_for_who_may_see_its_project(world, client, decider):
    await decider.write()
    narrow: User = user(projects=("harbour",))
    await world.add(narrow)
    token = (await client.post("/login", json={"email": EMAIL, "password": PASSWORD})).json()["token"]
    body = {"password": PASSWORD, "hardware": HARDWARE, "fileName": "detector.onnx"}
    answer = await client.post("/resources/get/models", headers=bearing(token), json=body)
    assert (answer.status_code, answer.json()["title"]) == (403, "project-not-allowed")


async def test_nothing_can_be_uploaded_over_a_twin(world, client, decider):
    await decider.write()
    await world.add(user(may_upload=True))
    token = (await client.post("/login", json={"email": EMAIL, "password": PASSWORD})).json()["token"]
    files = {"file": ("detector.onnx", b"something else")}
    answer = await client.post("/resources/models", headers=bearing(token), files=files)
    assert (answer.status_code, answer.json()["title"]) == (409, "name-taken")


async def test_a_small_part_that_is_being_written_anew_is_to_be_asked_for_again(world, client, decider):
    await decider.write()
    await world.resources.put(keys.twin("models", "detector.onnx"), b"of another twin")
    token = (await client.post("/login", json={"email": EMAIL, "password": PASSWORD})).json()["token"]
    body = {"password": PASSWORD, "hardware": HARDWARE, "fileName": "detector.onnx"}
    answer = await client.post("/resources/get/models", headers=bearing(token), json=body)
    assert (answer.status_code, answer.json()["title"]) == (503, "resource-changing")


@pytest.mark.parametrize(
    ("key", "changes", "rule"),
    [
        (None, {}, "twin.no_key"),
        ("", {}, "twin.no_key"),
        (LEGACY_KEY, {"model": "m9"}, "model.unknown"),
        (LEGACY_KEY, {"artifact": "rknn-int8-rk3588"}, "twin.no_artifact"),
    ],
    ids=["no key", "empty key", "no model", "no artifact"],
)
async def test_what_can_not_be_written_is_refused_with_its_reason(client, decider, key, changes, rule):
    with pytest.raises(Rejected) as refused:
        await decider.write(key, **changes)
    assert refused.value.rule == rule
    assert await decider.resources.head(record_key("models", "detector.onnx")) is None


async def test_an_artifact_that_was_changed_since_is_refused(client, decider):
    artifact = await decider.twins().finds.find(
        decider.book.models["m1"], decider.book.models["m1"].exported.artifacts[0]
    )
    await decider.data.put(artifact.key, ONNX[:-1] + b"x")
    with pytest.raises(Rejected, match=r"object.changed"):
        await decider.write()
    await decider.data.delete(artifact.key)
    with pytest.raises(Rejected, match=r"object.missing"):
        await decider.write()


async def test_what_was_left_by_another_export_is_refused(client, decider):
    real = decider.book.models["m1"]
    (reference,) = real.exported.artifacts
    another = reference.model_copy(update={"plain_sha256": "1" * 64})
    real.exported = real.exported.model_copy(update={"artifacts": (another,)})
    with pytest.raises(Rejected, match=r"twin.other_content"):
        await decider.write()


async def test_what_is_gone_is_said_to_be(client, decider):
    decider.data = MemoryBlobs()
    decider.leases = Leases(decider.data, "exporter")
    with pytest.raises(Rejected, match=r"twin.gone"):
        await decider.write()
    decider.trainings.clear()
    with pytest.raises(Rejected, match=r"twin.no_training"):
        await decider.write()


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 4095, 70_000])
@pytest.mark.parametrize("piece", [1000, 16, 7])
def test_in_pieces_the_legacy_form_is_the_same(size, piece):
    plain, iv = (bytes(range(256)) * 300)[:size], bytes(16)
    protected = io.BytesIO()
    sink = LegacySink(protected, LEGACY_KEY, iv=iv)
    for at in range(0, size, piece):
        sink.write(plain[at : at + piece])
    sink.finish()
    assert protected.getvalue() == seal_legacy(plain, LEGACY_KEY, iv=iv)
    assert open_legacy(protected.getvalue(), LEGACY_KEY) == plain


async def test_a_twin_is_split_where_the_documents_say(client, decider):
    await decider.write()
    small = (await decider.resources.get(keys.twin("models", "detector.onnx"))).data
    big = (await decider.models.get(keys.twin("models", "detector.onnx"))).data
    assert split_legacy(small + big) == (small, big)


def test_sealing_takes_constant_memory(tmp_path):
    piece = bytes(1 << 20)
    with (tmp_path / "protected").open("wb") as target:
        tracemalloc.start()
        sink = LegacySink(target, LEGACY_KEY)
        for _ in range(64):
            sink.write(piece)
        sink.finish()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 8 << 20
