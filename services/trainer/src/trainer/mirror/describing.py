"""Events → what they change in MLflow. Pure: the same event gives the same changes, whenever it is read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelExported, ModelPromoted, ModelRefused, ModelWithdrawn
from labelstream.events.training import (
    DatasetRef,
    Metrics,
    TrainingCancelled,
    TrainingFailed,
    TrainingFinished,
    TrainingProgressed,
    TrainingRecovered,
    TrainingRequested,
    TrainingStarted,
)
from labelstream.values import FileRef
from trainer.mirror.changes import MODEL, TAG, Artifact, Change, Measure, RunChange, UsedDataset, VersionChange

MOST_WEIGHTS_BYTES = 128 << 20  # larger weights are only referred to: those of the x networks
DESCRIPTION = "mlflow.note.content"  # MLflow's own tag for it
_PER_EPOCH = ("images_per_s", "memory_bytes", "batch", "learning_rate", "seconds")


def changes_of(offset: int, envelope: Envelope) -> tuple[Change, ...]:
    """Return what the event at `offset` of its stream changes; nothing for events that MLflow has no place for."""
    match envelope.event:
        case TrainingRequested() as event:
            return (_requested(event, envelope.time_ms),)
        case TrainingStarted() as event:
            tags = _tags(attempt=event.attempt, worker=event.worker)
            return (RunChange(event.job, envelope.time_ms, "RUNNING", tags=tags),)
        case TrainingProgressed() as event:
            return (RunChange(event.job, envelope.time_ms, measures=tuple(_epoch(event, envelope.time_ms))),)
        case TrainingRecovered() as event:
            tags = {f"{TAG}recovered.{offset}": _recovery(event)}
            return (RunChange(event.job, envelope.time_ms, tags=tags),)
        case TrainingFinished() as event:
            return (_finished(event, envelope.time_ms),)
        case TrainingFailed() as event:
            tags = _tags(rule=event.rule, reason=event.reason) | {DESCRIPTION: f"{event.rule}: {event.reason}"}
            return (RunChange(event.job, envelope.time_ms, "FAILED", tags=tags),)
        case TrainingCancelled() as event:
            return (_cancelled(event, envelope.time_ms),)
        case _:
            return _of_model(envelope)


def _of_model(envelope: Envelope) -> tuple[Change, ...]:
    match envelope.event:
        case ModelExported() as event:
            formats = ", ".join(artifact.name for artifact in event.artifacts)
            tags = _tags(
                dataset=event.dataset_id, formats=formats, manifest=event.manifest.key, test_map50=event.test.map50
            )
            run = RunChange(event.job, envelope.time_ms, tags={MODEL: event.model})
            return run, VersionChange(event.model, envelope.time_ms, event.job, tags)
        case ModelRefused() as event:
            refused = f"refused.{event.format}" if event.format else "refused"
            tags = _tags(**{refused: f"{event.rule}: {event.reason}"})
            return (RunChange(event.job, envelope.time_ms, tags=tags),)
        case ModelPromoted() as event:
            tags = _tags(promotion=event.number, promoted=event.reason)
            return (VersionChange(event.model, envelope.time_ms, tags=tags, champion=True),)
        case ModelWithdrawn() as event:
            return (VersionChange(event.model, envelope.time_ms, tags=_tags(withdrawn=event.reason or "yes")),)
        case _:
            return ()


def _requested(event: TrainingRequested, time_ms: int) -> RunChange:
    tags = _tags(
        cause=event.cause,
        dataset=event.dataset.id,
        recipe=event.recipe_digest,
        initial=event.initial.id if event.initial else None,
        retry_of=event.retry_of,
        warnings="; ".join(event.warnings) or None,
    )
    params = {"dataset": event.dataset.id} | dict(_flat(event.recipe))
    return RunChange(event.job, time_ms, "SCHEDULED", params, tags, dataset=_dataset(event.dataset))


def _dataset(dataset: DatasetRef) -> UsedDataset:
    source = {**dataset.description.model_dump(), "annotations": dataset.cut.model_dump()}
    return UsedDataset(dataset.id, source, {**dataset.samples, "test_images": dataset.test_images})


def _flat(fields: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Give each field of a recipe as text; a field of fields under both names, a list as JSON."""
    for name, value in fields.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{_plain(name)}", value if isinstance(value, str) else json.dumps(value)


def _epoch(event: TrainingProgressed, time_ms: int) -> Iterator[Measure]:
    figures = {f"train/{_plain(name)}": loss for name, loss in event.losses.items()}
    figures |= {"val/map50": event.map50, "val/map50_95": event.map50_95}
    for name, value in figures.items():
        yield Measure(name, value, event.epoch, time_ms)
    for name in _PER_EPOCH:
        if (value := getattr(event, name)) is not None:
            yield Measure(f"epoch/{name}", float(value), event.epoch, time_ms)


def _recovery(event: TrainingRecovered) -> str:
    batch = "" if event.batch is None else f", batch {event.batch}"
    rate = "" if event.learning_rate_scale == 1 else f", learning rate × {event.learning_rate_scale:g}"
    return f"attempt {event.attempt} after epoch {event.epoch}: {event.rule}: {event.reason}{batch}{rate}"


def _finished(event: TrainingFinished, time_ms: int) -> RunChange:
    figures = _figures("test", event.test) | _figures("best", event.validation)
    if event.champion is not None:
        figures |= _figures("champion", event.champion.test) | {"champion/difference": event.champion.difference}
    if event.seconds is not None:
        figures["seconds"] = event.seconds
    measures = tuple(Measure(name, value, event.best_epoch, time_ms) for name, value in figures.items())
    tags = _kept(event.weights, event.architecture, event.best_epoch) | _tags(
        epochs=event.epochs, champion=event.champion.model if event.champion else None
    )
    tags[DESCRIPTION] = _summary(event)
    files = {"report.html": event.report, "card.md": event.card, "evaluation.json": event.evaluation}
    artifacts = tuple(Artifact(name, file) for name, file in files.items() if file is not None)
    tags |= {f"{TAG}{Path(each.path).stem}": each.file.key for each in artifacts}
    artifacts += _model_files(event.weights, event.architecture)
    return RunChange(event.job, time_ms, "FINISHED", tags=tags, measures=measures, artifacts=artifacts)


def _cancelled(event: TrainingCancelled, time_ms: int) -> RunChange:
    tags = _tags(reason=event.reason or None)
    if event.weights is None or event.architecture is None or event.best_epoch is None:
        return RunChange(event.job, time_ms, "KILLED", tags=tags)
    figures = _figures("best", event.validation) if event.validation else {}
    return RunChange(
        event.job,
        time_ms,
        "KILLED",
        tags=tags | _kept(event.weights, event.architecture, event.best_epoch),
        measures=tuple(Measure(name, value, event.best_epoch, time_ms) for name, value in figures.items()),
        artifacts=_model_files(event.weights, event.architecture),
    )


def _figures(of: str, metrics: Metrics) -> dict[str, float]:
    figures = {name: getattr(metrics, name) for name in ("map50", "map50_95", "precision", "recall", "images")}
    for name in ("map50", "map50_95"):
        if (interval := getattr(metrics, f"{name}_interval")) is not None:
            figures |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
    figures |= {f"class/{_plain(name)}": value for name, value in metrics.per_class.items()}
    return {f"{of}/{name}": float(value) for name, value in figures.items()}


def _summary(event: TrainingFinished) -> str:
    test = event.test
    interval = f" ({test.map50_interval.low:.3f}–{test.map50_interval.high:.3f})" if test.map50_interval else ""
    said = f"mAP50 {test.map50:.3f}{interval}, mAP50-95 {test.map50_95:.3f} on {test.images} test images"
    if event.champion is None:
        return said
    return f"{said}; mAP50 {event.champion.difference:+.3f} beside the champion {event.champion.model}"


def _model_files(weights: FileRef, architecture: FileRef) -> tuple[Artifact, ...]:
    described = Artifact("model/architecture.json", architecture)
    if weights.size_bytes > MOST_WEIGHTS_BYTES:
        return (described,)
    return Artifact("model/weights.safetensors", weights), described


def _kept(weights: FileRef, architecture: FileRef, best_epoch: int) -> dict[str, str]:
    return _tags(
        weights=weights.key,
        weights_sha256=weights.sha256,
        weights_bytes=weights.size_bytes,
        architecture=architecture.key,
        best_epoch=best_epoch,
    )


def _tags(**values: object) -> dict[str, str]:
    return {f"{TAG}{name}": str(value) for name, value in values.items() if value is not None}


def _plain(name: str) -> str:
    """Return a name that MLflow takes, and that names no folder."""
    return re.sub(r"[^\w\- :]", "_", name)
