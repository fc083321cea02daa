"""What the streams said so far: a fold over the events of every stage."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from labelstream.events.annotation import AnnotationSettled
from labelstream.events.batch import BatchAugmented
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelEvent, ModelExported, ModelPromoted, ModelRefused
from labelstream.events.serving import ModelActivated, ModelActivationFailed
from labelstream.events.training import (
    TrainingCancelled,
    TrainingEvent,
    TrainingFailed,
    TrainingFinished,
    TrainingProgressed,
    TrainingRequested,
)
from labelstream_cli.push.publishing import Refused

UNCHANGED = ("duplicated", "rejected", "held", "superseded")  # outcomes that leave the dataset as it is


@dataclass
class TrainingSeen:
    """One training job."""

    requested: TrainingRequested
    progress: TrainingProgressed | None = None
    finished: TrainingFinished | None = None
    problem: str | None = None


@dataclass
class DemoState:
    """Everything that matters to one demonstration. Streams are folded from their first event."""

    project: str
    producer: str  # message ids of ours begin with this name
    baseline: int = -1  # the last offset of the input stream before we wrote
    receipts: Counter[str] = field(default_factory=Counter)
    settled: int = 0  # messages of ours that have a receipt
    refused: list[Refused] = field(default_factory=list)
    last_receipt: int = -1  # offset of the last receipt of ours
    last_change: int = -1  # offset of the last event that changed the project's annotations
    archives: dict[str, int] = field(default_factory=dict)  # key → variants in it, originals not counted
    left_out: int = 0  # images that could not be augmented
    augmented_to: int = -1  # offset of annotation-events
    trainings: dict[str, TrainingSeen] = field(default_factory=dict)
    exported: dict[str, ModelExported] = field(default_factory=dict)  # by training job
    refusals: dict[str, ModelRefused] = field(default_factory=dict)  # by training job, of which no format is left
    promotions: list[ModelPromoted] = field(default_factory=list)
    activated: dict[str, ModelActivated] = field(default_factory=dict)  # by model
    activation_failures: dict[str, ModelActivationFailed] = field(default_factory=dict)
    events: int = 0

    def fold(self, offset: int, envelope: Envelope) -> None:
        """Take one event of any stream into account."""
        if envelope.project != self.project:
            return
        self.events += 1
        match envelope.event:
            case AnnotationSettled() as event:
                self._settle(offset, event)
            case BatchAugmented() as event:
                self._augment(event)
            case TrainingEvent() as event:
                self._train(event)
            case ModelEvent() as event:
                self._export(event)
            case ModelActivated() as event:
                self.activated[event.model] = event
                self.activation_failures.pop(event.model, None)
            case ModelActivationFailed() as event:
                self.activation_failures[event.model] = event

    @property
    def promoted(self) -> ModelPromoted | None:
        """The promotion that holds."""
        return max(self.promotions, key=lambda one: one.number, default=None)

    def training_for(self, cut: int) -> TrainingSeen | None:
        """Return the training that a request at `cut` caused, if it was said yet."""
        return next((one for one in self.trainings.values() if one.requested.dataset.cut.offset >= cut), None)

    def same_training(self) -> TrainingSeen | None:
        """Return the newest training on what the annotations say now, because nothing changed since its cut."""
        same = [one for one in self.trainings.values() if one.requested.dataset.cut.offset >= self.last_change]
        return same[-1] if same else None

    def _settle(self, offset: int, event: AnnotationSettled) -> None:
        if any(outcome.outcome not in UNCHANGED for outcome in event.outcomes):
            self.last_change = offset
        ours = (event.message_id or "").startswith(f"{self.producer}-") and event.input.offset > self.baseline
        if not ours:
            return
        self.settled += 1
        self.last_receipt = offset
        for outcome in event.outcomes:
            self.receipts[outcome.outcome] += 1
            if outcome.rejection is not None:
                self.refused.append(Refused.of(outcome.name or "?", outcome.rejection))

    def _augment(self, event: BatchAugmented) -> None:
        files = [file for file in (event.archive, *event.more_archives) if file is not None]
        for number, file in enumerate(files):
            members = [member for member in event.members if member.archive == number]
            self.archives[file.key] = sum(variant.variant > 0 for member in members for variant in member.variants)
        self.left_out += len(event.left_out)
        self.augmented_to = max(self.augmented_to, event.input.last)

    def _train(self, event: TrainingEvent) -> None:
        if isinstance(event, TrainingRequested):
            self.trainings.setdefault(event.job, TrainingSeen(event))
        seen = self.trainings.get(event.job)
        if seen is None:
            return
        if isinstance(event, TrainingProgressed):
            seen.progress = event
        elif isinstance(event, TrainingFinished):
            seen.finished = event
        elif isinstance(event, TrainingFailed):
            seen.problem = f"the training failed: {event.rule}: {event.reason}"
        elif isinstance(event, TrainingCancelled):
            seen.problem = "the training was cancelled"

    def _export(self, event: ModelEvent) -> None:
        if isinstance(event, ModelExported):
            self.exported[event.job] = event
        elif isinstance(event, ModelRefused) and event.format is None:
            self.refusals[event.job] = event
        elif isinstance(event, ModelPromoted):
            self.promotions.append(event)
