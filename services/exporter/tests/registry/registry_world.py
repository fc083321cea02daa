"""A registry on doubles: models come and are promoted, and a person asks for things."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exporter.registry.policy import PromotionPolicy
from exporter.registry.promoting import Promoting
from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Unavailable
from labelstream.events.envelope import Envelope
from labelstream.events.model import (
    Agreement,
    ArtifactRef,
    ModelEvent,
    ModelExported,
    ModelPromoted,
    ModelWithdrawn,
)
from labelstream.events.training import ChampionMetrics, DatasetRef, Metrics, TrainingFinished
from labelstream.models import ModelBook, ModelState
from labelstream.protection.signing_keys import new_signing_key
from labelstream.service.health import Health
from labelstream.values import FileRef, Position

FILE = FileRef.of("k", b"k")
HERE = Position(stream="training-events", offset=0)
AGREES = Agreement(images=5, boxes=9, unmatched=0, max_box_px=0.01, max_score=0.001)


def metrics(map50_95: float, per_class: Mapping[str, float] | None = None, images: int = 40) -> Metrics:
    return Metrics(
        map50=0.9, map50_95=map50_95, precision=0.9, recall=0.9, images=images, per_class=dict(per_class or {})
    )


def exported(model: str, test: Metrics | float = 0.5, **more: Any) -> ModelExported:
    formats = more.pop("formats", ("onnx-fp32",))
    told = {"job": f"job of {model}", "dataset_id": f"dataset of {model}", **more}
    artifacts = tuple(
        ArtifactRef(
            name=name, format="onnx", precision="fp32", big_part=FILE, sealed_sha256="0" * 64, agreement=AGREES
        )
        for name in formats
    )  # fmt: skip
    figures = test if isinstance(test, Metrics) else metrics(test)
    return ModelExported(
        model=model, input=HERE, manifest=FileRef.of(f"manifest of {model}", model.encode()), signature=FILE,
        artifacts=artifacts, test=figures, **told,
    )  # fmt: skip


def finished(job: str, test: Metrics, **more: Any) -> TrainingFinished:
    dataset = DatasetRef(id="d", description=FILE, cut=HERE, samples={}, test_images=test.images)
    return TrainingFinished(
        job=job, attempt=1, dataset=dataset, weights=FILE, architecture=FILE, best_epoch=1, validation=test, test=test,
        **more,
    )  # fmt: skip


@dataclass
class Spoken:
    """A voice that keeps what it says, and folds it into the book."""

    book: ModelBook
    said: list[ModelEvent] = field(default_factory=list)
    away: int = 0  # it fails so many times

    async def say(
        self, event: ModelEvent, project: str, flow: str = "", traceparent: str = "", answers: str = ""
    ) -> None:
        await asyncio.sleep(0)  # as a broker does, it lets others go on
        if self.away:
            self.away -= 1
            raise Unavailable("broker", "maintenance")
        envelope = Envelope.of(
            event, source="exporter", answers=answers, project=project, flow=flow, traceparent=traceparent
        )
        self.book.fold(len(self.said), envelope)
        self.said.append(event)


@dataclass
class Registry:
    """What the decider has of models."""

    key: Path
    policy: PromotionPolicy = field(default_factory=PromotionPolicy)
    book: ModelBook = field(default_factory=ModelBook)
    data: MemoryBlobs = field(default_factory=MemoryBlobs)
    health: Health = field(default_factory=Health)
    trained: dict[str, TrainingFinished] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.voice = Spoken(self.book)
        self.promoting = self.restarted()

    @classmethod
    def under(cls, tmp_path: Path, **policy: Any) -> Registry:
        """Begin with a signing key under `tmp_path`."""
        private, public = new_signing_key()
        (tmp_path / "signer.pem").write_bytes(private)
        (tmp_path / "signer.pub.pem").write_bytes(public)
        return cls(tmp_path / "signer.pem", PromotionPolicy(**policy))

    @property
    def public_key(self) -> Path:
        return self.key.with_name("signer.pub.pem")

    def restarted(self) -> Promoting:
        """Return what decides, as it is after a start."""
        self.promoting = Promoting(
            self.book, self.voice, self.trained.get, self.data, self.policy, self.key, self.health
        )  # fmt: skip
        return self.promoting

    async def export(
        self, model: str, test: Metrics | float = 0.5, *, beside: ChampionMetrics | None = None, **more: Any
    ) -> ModelState:
        """Have a training finish and be exported; `beside`: the champion that it measured."""
        project, evaluation = more.pop("project", "default"), more.pop("evaluation", None)
        event = exported(model, test, **more)
        self.trained[event.job] = finished(event.job, event.test, champion=beside, evaluation=evaluation)
        await self.voice.say(event, project)
        return self.book.models[model]

    async def served(self, *models: str) -> None:
        """Have models exported and promoted one after the other."""
        for model in models:
            await self.promoting.promote(await self.export(model), reason="", cause="policy")

    @property
    def promoted(self) -> list[str]:
        """The models in the order of their promotions."""
        return [event.model for event in self.voice.said if isinstance(event, ModelPromoted)]

    @property
    def withdrawn(self) -> list[ModelWithdrawn]:
        return [event for event in self.voice.said if isinstance(event, ModelWithdrawn)]

    def champion(self, project: str = "default") -> str | None:
        state = self.book.champion(project)
        return state.model if state else None
