"""What was made from one annotation: archives, datasets, trainings, models, and which of them answers now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from labelstream.events.base import BATCH_EVENTS, MODEL_EVENTS, SERVING_EVENTS, TRAINING_EVENTS
from labelstream.events.batch import BatchAugmented
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelEvent, ModelExported, ModelPromoted, ModelRefused, ModelWithdrawn
from labelstream.events.serving import ModelActivated, ModelReverted
from labelstream.events.training import (
    TrainingCancelled,
    TrainingEvent,
    TrainingFailed,
    TrainingFinished,
    TrainingRequested,
    TrainingStarted,
)
from labelstream.values import FileRef, Position
from labelstream_cli.tracing.life import Life, Stage, Step, Tone
from labelstream_cli.tracing.manifests import Held
from labelstream_datasets.archives.erased import Erasure

Told = tuple[str, tuple[str, ...], Tone, dict[str, Any]]  # what, details, tone, data


@dataclass
class Archives:
    """The archives that hold the annotation's content, as whole batch events tell it."""

    life: Life
    keys: set[str] = field(default_factory=set)

    def take(self, offset: int, envelope: Envelope) -> None:
        """Add what an event says of the annotation: its archives, and what became of them."""
        event = envelope.event
        if not isinstance(event, BatchAugmented):
            return
        place = Position(stream=BATCH_EVENTS, offset=offset)
        archives = (event.archive, *event.more_archives)
        for what, details, tone, data in (*self._rewritten(event), *self._made(event, archives)):
            self.life.add(Step(envelope.time_ms, place, "batch", what, details, tone, data))

    def _made(self, event: BatchAugmented, archives: Sequence[FileRef | None]) -> Iterator[Told]:
        for member in event.members:
            if (member.image, member.labels) in self.life.contents:
                archive = archives[member.archive]
                key = archive.key if archive else ""
                self.keys.add(key)
                data = {"archive": key, "variants": len(member.variants), "as": member.name}
                yield f"augmented: {len(member.variants)} images", (key,), "good", data
        for left in event.left_out:
            if (left.image, left.labels) in self.life.contents:
                yield "could not be augmented", (left.reason,), "bad", {"left_out": left.reason}

    def _rewritten(self, event: BatchAugmented) -> Iterator[Told]:
        """Yield what became of our archives when images were erased from them: ours, or others."""
        erasure = Erasure.of(event)
        ours = any(erasure.takes(image, labels) for image, labels in self.life.contents)
        for one in event.rewritten:
            if one.archive not in self.keys:
                continue
            by = one.by.key if one.by else None
            self.keys |= {by} if by and not ours else set()
            who = "it" if ours else "another image"
            what = f"archive rewritten without {who}" if by else f"archive removed: {who} was erased"
            data = {"archive": one.archive, "rewritten": by, "erased": ours}
            yield what, (by or one.archive,), "bad" if ours else "note", data


@dataclass
class Trainings:
    """The trainings of a project."""

    project: str
    heard: list[tuple[int, Envelope, TrainingEvent]] = field(default_factory=list)

    def take(self, offset: int, envelope: Envelope) -> None:
        """Remember an event of `training-events`."""
        if isinstance(envelope.event, TrainingEvent):
            self.heard.append((offset, envelope, envelope.event))

    def requested(self) -> Iterator[TrainingRequested]:
        """Yield what was asked to be trained, the newest first, each dataset once."""
        seen = set()
        for _, _, event in reversed(self.heard):
            if isinstance(event, TrainingRequested) and event.dataset.id not in seen:
                seen.add(event.dataset.id)
                yield event

    def tell(self, life: Life, held: dict[str, Held]) -> set[str]:
        """Add the trainings with the datasets that hold the annotation; return their jobs."""
        jobs: set[str] = set()
        for offset, envelope, event in self.heard:
            if isinstance(event, TrainingRequested) and event.dataset.id in held:
                jobs.add(event.job)
            if event.job in jobs:
                told = _training(event, held)
                if told is not None:
                    what, details, tone, data = told
                    place = Position(stream=TRAINING_EVENTS, offset=offset)
                    stage: Stage = "dataset" if isinstance(event, TrainingRequested) else "training"
                    data = {"job": event.job, **data}
                    life.add(Step(envelope.time_ms, place, stage, what, details, tone, data))
        return jobs


def _training(event: TrainingEvent, held: dict[str, Held]) -> Told | None:
    match event:
        case TrainingRequested():
            here = held[event.dataset.id]
            cut = f"dataset {event.dataset.id[:12]}, cut at {event.dataset.cut.offset}"
            data = {"dataset": event.dataset.id, "cut": event.dataset.cut.offset, **here.as_json()}
            return f"{here.told}, training asked for by {event.cause}", (cut, f"job {event.job}"), "good", data
        case TrainingStarted():
            return "training started", (f"attempt {event.attempt}",), "note", {"attempt": event.attempt}
        case TrainingFinished():
            told = f"mAP50-95 {event.test.map50_95:.3f} on {event.test.images} test images"
            return "training finished", (told,), "good", {"map50_95": event.test.map50_95}
        case TrainingFailed():
            return "training failed", (f"{event.rule}: {event.reason}",), "bad", {"rule": event.rule}
        case TrainingCancelled():
            return "training cancelled", (), "note", {}
    return None


@dataclass
class Models:
    """The models that were made from some trainings."""

    jobs: set[str]
    datasets: set[str]

    def take(self, life: Life, offset: int, envelope: Envelope) -> None:
        """Add an event of `model-events` that is about one of them."""
        event = envelope.event
        if not isinstance(event, ModelEvent):
            return
        if isinstance(event, ModelExported) and (event.job in self.jobs or event.dataset_id in self.datasets):
            life.models.append(event.model)
        mine = event.model in life.models or (isinstance(event, ModelRefused) and event.job in self.jobs)
        told = _model(event) if mine else None
        if told is not None:
            what, details, tone, data = told
            place = Position(stream=MODEL_EVENTS, offset=offset)
            life.add(Step(envelope.time_ms, place, "model", what, details, tone, {"model": event.model, **data}))


def _model(event: ModelEvent) -> Told | None:
    match event:
        case ModelExported():
            formats = ", ".join(artifact.name for artifact in event.artifacts)
            edition = f", edition {event.edition}" if event.edition > 1 else ""
            what = f"model {event.model[:12]} exported{edition}"
            return what, (formats, event.manifest.key), "good", {"job": event.job, "edition": event.edition}
        case ModelRefused():
            what = f"format {event.format} refused" if event.format else "model refused"
            return what, (f"{event.rule}: {event.reason}",), "bad", {"rule": event.rule, "format": event.format}
        case ModelPromoted():
            return f"model {event.model[:12]} promoted", (event.reason,), "good", {"number": event.number}
        case ModelWithdrawn():
            return f"model {event.model[:12]} withdrawn", (event.reason,), "bad", {}
    return None


@dataclass
class Serving:
    """What each replica answers with."""

    answers: dict[str, tuple[int, Envelope, str]] = field(default_factory=dict)  # by replica: offset, event, model

    def take(self, offset: int, envelope: Envelope) -> None:
        """Remember what a replica activated last, or went back to."""
        event = envelope.event
        if isinstance(event, ModelActivated):
            self.answers[event.replica] = offset, envelope, event.model
        elif isinstance(event, ModelReverted):
            self.answers[event.replica] = offset, envelope, event.serving

    def tell(self, life: Life) -> None:
        """Add which of the annotation's models answer now."""
        for replica, (offset, envelope, model) in self.answers.items():
            if model in life.models:
                life.in_service.setdefault(model, []).append(replica)
                place = Position(stream=SERVING_EVENTS, offset=offset)
                what = f"model {model[:12]} answers in replica {replica}"
                data = {"model": model, "replica": replica}
                life.add(Step(envelope.time_ms, place, "service", what, (), "good", data))
