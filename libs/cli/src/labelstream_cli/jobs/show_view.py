"""How one job looks on a terminal: what it was told, what happened, every epoch, and how good its weights are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape

from labelstream.blobs.leases import LeaseState
from labelstream.events.training import TrainingCancelled, TrainingFinished, TrainingRecovered
from labelstream.trainings import JobState
from labelstream.values import SPLITS
from labelstream_cli.datasets.tables import plain_table
from labelstream_cli.jobs.facts import left_s, reason, took_s
from labelstream_cli.jobs.list_view import STYLES, left_in_words
from labelstream_cli.jobs.models import Model
from labelstream_cli.jobs.results_view import show_epochs, show_results
from labelstream_cli.jobs.words import SHORT, duration, moment

_AT_HOME = ("architecture", "image_size", "epochs", "batch", "optimizer", "lr0", "seed")  # said first


@dataclass(frozen=True)
class Shown:
    """Everything that is known of a job."""

    state: JobState
    lease: LeaseState | None  # who holds it
    model: Model | None


def show_job(shown: Shown, console: Console) -> None:
    """Print one job."""
    state = shown.state
    console.print(f"[bold]{state.job}[/]  [{STYLES[state.state]}]{state.state}[/]", soft_wrap=True)
    table = plain_table("", "")
    table.show_header = False
    for label, text in (*_asked(state), *_happened(shown), *_ended(state)):
        table.add_row(f"[dim]{label}[/]", escape(text))
    console.print(table)
    if state.epochs:
        console.print()
        show_epochs(state, console)
    if isinstance(state.ended, TrainingFinished):
        console.print()
        show_results(state.ended, console)
    for line in _next(shown):
        console.print(line, markup=False, soft_wrap=True, style="dim")


def _asked(state: JobState) -> Iterator[tuple[str, str]]:
    requested = state.requested
    dataset = requested.dataset
    again = f", again for {requested.retry_of[:SHORT]}" if requested.retry_of else ""
    yield "project", state.project
    yield "asked", f"{moment(state.requested_ms)}, by {requested.cause}{again}"
    samples = ", ".join(f"{dataset.samples.get(split, 0):,} {split}" for split in SPLITS)
    yield "dataset", f"{dataset.id[:SHORT]}, cut at offset {dataset.cut.offset}: {samples} samples"
    yield "recipe", f"{requested.recipe_digest[:SHORT]}: {recipe_in_words(requested.recipe)}"
    if requested.initial is not None:
        yield "begins", f"with the weights {requested.initial.id[:SHORT]}"
    for warning in requested.warnings:
        yield "warning", warning


def _happened(shown: Shown) -> Iterator[tuple[str, str]]:
    state = shown.state
    told = [(begun.time_ms, f"attempt {begun.attempt}", f"by {begun.worker}") for begun in state.attempts]
    told += [(time_ms, "recovered", _recovered(recovery)) for recovery, time_ms in state.recoveries]
    for time_ms, label, text in sorted(told):
        yield label, f"{moment(time_ms)}, {text}"
    if state.ended is None:
        yield "now", _now(shown)


def _recovered(recovery: TrainingRecovered) -> str:
    scale = recovery.learning_rate_scale
    changes = [f"batch {recovery.batch}"] if recovery.batch else []
    changes += [f"learning rate × {scale:g}"] if scale != 1 else []
    changed = f" ({', '.join(changes)})" if changes else ""
    after = f"after epoch {recovery.epoch}" if recovery.epoch else "from the start"
    return f"{after}{changed}: {recovery.rule}: {recovery.reason}"


def _now(shown: Shown) -> str:
    state, lease = shown.state, shown.lease
    if lease is None:
        return "waits for a free worker"
    if lease.state == "held":
        left = left_s(state)
        how = f", {left_in_words(state, left)}" if left is not None else ""
        return f"{lease.owner} works on it{how}"
    if lease.state == "finished":
        return "the worker is done; the trainer is about to say so"
    return f"{lease.owner} holds it no more: the next free worker goes on"


def _ended(state: JobState) -> Iterator[tuple[str, str]]:
    if state.ended_ms is None:
        return
    took = took_s(state)
    yield "ended", f"{moment(state.ended_ms)}{f', took {duration(took)}' if took is not None else ''}"
    if reason(state):
        yield "reason", reason(state)
    if isinstance(state.ended, TrainingCancelled):
        yield "kept", kept_in_words(state.ended)


def kept_in_words(event: TrainingCancelled) -> str:
    """Say what a cancelled training leaves."""
    if event.weights is None:
        return "nothing: no epoch had ended"
    map50 = f", mAP50 {event.validation.map50:.3f} on validation" if event.validation else ""
    return f"the weights of epoch {event.best_epoch}{map50}: {event.weights.key}"


def recipe_in_words(recipe: Mapping[str, Any]) -> str:
    """Tell a recipe in one line: first what everybody asks for, then the rest."""
    names = [name for name in _AT_HOME if name in recipe]
    names += [name for name in recipe if name not in names]
    return ", ".join(_field(name, recipe[name]) for name in names if recipe[name] is not None)


def _field(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        told = ", ".join(f"{key} {one}" for key, one in value.items() if one)
        return f"{name}: own yaml" if name == "architecture" else f"{name}: {told or 'nothing'}"
    return f"{name} {value}"


def _next(shown: Shown) -> Iterator[str]:
    """Say where more is to be found."""
    state, ended = shown.state, shown.state.ended
    digits = state.job[:SHORT]
    model = shown.model
    if model is not None and model.id is not None:
        standing = " in service" if model.in_service else " withdrawn" if model.withdrawn else " not in service"
        yield f"model {model.id[:SHORT]},{standing}"
    elif model is not None and model.refused is not None:
        yield f"the exporter refused the weights: {model.refused}"
    if model is not None:
        yield from (f"{name} was refused: {why}" for name, why in model.refused_formats.items())
        yield from (f"{name} waits for a worker that can build it" for name in model.waiting)
    if isinstance(ended, TrainingFinished):
        yield from (f"{ref.key}, {decimal(ref.size_bytes)}" for ref in (ended.report, ended.card) if ref)
        if ended.report:
            yield f"`labelstream jobs show {digits} --report report.html` saves the report"
    elif state.came_to_nothing:
        if state.attempts:
            yield f"`labelstream jobs logs {digits}` shows what its worker said"
        yield f"`labelstream jobs retry {digits}` does it again"
    elif state.attempts:
        yield f"`labelstream jobs logs -f {digits}` follows what its worker says"


def everything_as_json(shown: Shown, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return it for machines; `entry` is the job as lists have it."""
    state = shown.state
    return {
        **entry,
        "request": state.requested.model_dump(mode="json"),
        "attempts": [one._asdict() for one in state.attempts],
        "recoveries": [{**one.model_dump(mode="json"), "time_ms": time_ms} for one, time_ms in state.recoveries],
        "history": [{**one.model_dump(mode="json"), "time_ms": time_ms} for one, time_ms in state.epochs],
        "held_by": shown.lease.owner if shown.lease and shown.lease.state == "held" else None,
        "result": state.ended.model_dump(mode="json") if state.ended else None,
        "model": shown.model.as_json() if shown.model else None,
    }
