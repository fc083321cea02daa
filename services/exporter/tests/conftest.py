"""An exporter's decider on doubles, which can be restarted at any time."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from exporter.domain import Ledger
from exporter.granting import Device, Granting
from exporter.handler import NAME, Decider
from exporter.publishing import Publishing
from exporter.settings import DeciderGroup
from exporter.worker import QUEUE, ExportLeft, GoldenAnswer
from labelstream.blobs.leases import Leases
from labelstream.blobs.memory import MemoryBlobs
from labelstream.classes import ClassSchema
from labelstream.events.base import MODEL_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.events.model import Agreement, ModelEvent
from labelstream.events.training import DatasetRef, Metrics, TrainingFinished
from labelstream.jobs.desk import Desk
from labelstream.jobs.memory import MemoryJobQueue
from labelstream.jobs.worker import Attempt, Worker
from labelstream.protection.sealing import new_identity, recipient_of
from labelstream.protection.signing_keys import new_signing_key
from labelstream.service.health import Health
from labelstream.streams.amqp import decode
from labelstream.streams.journal import Journal
from labelstream.streams.memory import MemoryBroker
from labelstream.values import FileRef, Position
from labelstream_datasets.description import DatasetDescription

DEVICE = "kiosk"
AGREES = Agreement(images=5, boxes=9, unmatched=0, max_box_px=0.01, max_score=0.001)


def metrics(map50_95: float) -> Metrics:
    return Metrics(map50=0.9, map50_95=map50_95, precision=0.9, recall=0.8, images=5)


async def export(attempt: Attempt) -> ExportLeft:
    """Leave what a worker leaves when everything agrees."""
    return await exported(attempt, AGREES)


async def exported(attempt: Attempt, agreement: Agreement) -> ExportLeft:
    return ExportLeft(
        artifact=await attempt.put("onnx-fp32.onnx", b"weights of " + attempt.job.id.encode()),
        agreement=agreement,
        golden=(GoldenAnswer(image=await attempt.put("golden.png", b"a picture"), boxes=()),),
        image_size=64,
        versions={"onnx": "1"},
    )


@dataclass
class Exporter:
    """What outlives a decider: streams, buckets, queues, keys."""

    scratch: Path
    settings: DeciderGroup
    device_identity: str
    finished: list[TrainingFinished] = field(default_factory=list)
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    data: MemoryBlobs = field(default_factory=MemoryBlobs)
    models: MemoryBlobs = field(default_factory=MemoryBlobs)
    resources: MemoryBlobs = field(default_factory=MemoryBlobs)
    queue: MemoryJobQueue = field(default_factory=MemoryJobQueue)
    health: Health = field(default_factory=Health)

    async def started(self) -> Decider:
        """Start a decider, as after a crash: it knows what the streams say."""
        ledger, vault = Ledger(), self.settings.vault_identity.get_secret_value()
        journal = Journal(self.broker, MODEL_EVENTS, [NAME], ledger.said, self.health)
        await journal.open()
        for offset, event in enumerate(self.finished):
            ledger.heard(offset, Envelope.of(event, source="trainer", answers=event.job, project="default"))
        granting = Granting(self.resources, vault)
        device = Device(name=DEVICE, recipient=recipient_of(self.device_identity), token_sha256="0" * 64)
        await granting.enrol_all([device])
        publishing = Publishing(
            self.data, self.models, self.resources, self.settings, recipient_of(vault), self.scratch, self.health
        )
        desk = Desk(self.queue, Leases(self.data, NAME), self.data)
        return Decider(journal, ledger, desk, publishing, granting, self.settings, self.health)

    async def train(self, job: str, map50_95: float = 0.5) -> None:
        """Have a training finish."""
        description = DatasetDescription(
            id="d" * 64,
            project="default",
            cut=Position(stream="annotation-events", offset=9),
            class_schema=ClassSchema(name="cars", classes=("car",)),
            recipe="0" * 64,
            salt="s",
            counts={},
        ).to_json()
        await self.data.put("dataset.json", description)
        self.finished.append(
            TrainingFinished(
                job=job,
                attempt=1,
                dataset=DatasetRef(
                    id="d" * 64,
                    description=FileRef.of("dataset.json", description),
                    cut=Position(stream="annotation-events", offset=9),
                    samples={},
                    test_images=5,
                ),
                weights=FileRef.of(f"weights of {job}", job.encode()),
                architecture=FileRef.of("architecture", b"a"),
                best_epoch=1,
                validation=metrics(map50_95),
                test=metrics(map50_95),
            )
        )

    async def work(self, do: Any = export) -> None:
        """Let a worker do everything that lies in the queue."""
        worker = Worker(QUEUE, self.queue, Leases(self.data, "worker"), self.data, self.health, do)
        while (taken := await self.queue.take(QUEUE, wait_s=0)) is not None:
            await worker._work(taken)

    async def answered(self, do: Any = export) -> None:
        """Have every training exported or refused by one decider."""
        decider = await self.started()
        await decider.tick()
        await self.work(do)
        await decider.tick()

    def events(self) -> list[ModelEvent]:
        """Everything that was said on `model-events`."""
        envelopes = [Envelope.from_message(decode(each.raw)) for each in self.broker.stored(MODEL_EVENTS) or []]
        return [each.event for each in envelopes if each and isinstance(each.event, ModelEvent)]

    def said(self) -> list[str]:
        """The types of the events, without their common beginning."""
        return [event.type.removeprefix("model.") for event in self.events()]


@pytest.fixture
def vault_identity() -> str:
    return new_identity()[0]


@pytest.fixture
def group(tmp_path: Path, vault_identity: str) -> DeciderGroup:
    """The decider's settings."""
    private, _ = new_signing_key()
    key = tmp_path / "signer.pem"
    key.write_bytes(private)
    return DeciderGroup(signing_key=key, vault_identity=SecretStr(vault_identity), poll_s=0.01)


@pytest.fixture
def exporter(tmp_path: Path, group: DeciderGroup) -> Exporter:
    return Exporter(tmp_path / "publishing", group, new_identity()[0])
