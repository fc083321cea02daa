"""How a model was made, as pairs of words and values."""

from __future__ import annotations

from collections.abc import Iterator

from labelstream_datasets.pages.words import counted, duration
from trainer.engine.contract import Recovery
from trainer.reporting.content import ReportContent

_SAID_ELSEWHERE = {"architecture", "image_size", "epochs", "batch", "on_the_fly", "weights"}


def facts_of(content: ReportContent) -> tuple[tuple[str, str], ...]:
    """Return how the model was made, the important things first."""
    return tuple(_facts(content))


def network_of(content: ReportContent) -> str:
    """Return what the network is called."""
    given = content.recipe.architecture
    return given if isinstance(given, str) else "a network of its own, given as data"


def recipe_fields(content: ReportContent) -> tuple[tuple[str, str], ...]:
    """Return the rest of the recipe."""
    fields = content.recipe.model_dump(mode="json").items()
    return tuple((name, _value(value)) for name, value in fields if name not in _SAID_ELSEWHERE)


def recovered(recovery: Recovery) -> str:
    """Return a recovery in one sentence."""
    changed = [f"batch {recovery.batch}"] if recovery.batch is not None else []
    changed += [f"learning rate × {recovery.learning_rate_scale:g}"] if recovery.learning_rate_scale != 1 else []
    after = f"; from then on {', '.join(changed)}" if changed else ""
    return f"{recovery.rule} after {counted(recovery.epoch, 'epoch')}: {recovery.reason}{after}"


def _facts(content: ReportContent) -> Iterator[tuple[str, str]]:
    recipe, result = content.recipe, content.result
    yield "Network", network_of(content)
    yield "Began with", content.initial or recipe.weights or "random weights, nothing pretrained"
    yield "Image size", f"{recipe.image_size} × {recipe.image_size} pixels"
    stopped = ", ended by patience" if result.epochs < recipe.epochs else ""
    yield "Epochs", f"{result.epochs} of {recipe.epochs}{stopped}; the best on validation is {result.best_epoch}"
    yield "Batch", _batch(content)
    yield "Changed on the fly", _on_the_fly(content)
    yield "Time", duration(result.seconds)
    yield "Device", result.device
    yield "Made with", ", ".join(f"{name} {version}" for name, version in sorted(result.versions.items()))
    if content.attempt > 1:
        yield "Attempt", f"{content.attempt}: other workers had begun before"
    if content.worker:
        yield "Worker", content.worker
    if content.ended is not None:
        yield "Ended", f"{content.ended:%Y-%m-%d %H:%M} {content.ended.tzname() or ''}".rstrip()


def _batch(content: ReportContent) -> str:
    given = str(content.recipe.batch)
    last = str(content.result.history[-1].batch) if content.result.history else "0"
    return given if last in {"0", given} else f"{given}, at the end {last}"


def _on_the_fly(content: ReportContent) -> str:
    changed = content.recipe.on_the_fly.model_dump(exclude_defaults=True)
    return ", ".join(f"{name} {_value(value)}" for name, value in changed.items()) or "nothing: stored variants alone"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
