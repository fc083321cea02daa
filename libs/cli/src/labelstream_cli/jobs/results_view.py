"""How a job's epochs and its figures on test look on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape

from labelstream.events.training import ChampionMetrics, Interval, Metrics, TrainingFinished, TrainingProgressed
from labelstream.trainings import JobState
from labelstream_cli.datasets.tables import plain_table
from labelstream_cli.datasets.words import count
from labelstream_cli.jobs.facts import best_epoch
from labelstream_cli.jobs.words import SHORT, curve, within

_FIGURES = ("map50", "map50_95", "precision", "recall")
_CALLED = {"map50": "mAP50", "map50_95": "mAP50-95", "precision": "precision", "recall": "recall"}


def show_epochs(state: JobState, console: Console) -> None:
    """Print each epoch, and how mAP50 and the losses went."""
    epochs = [epoch for epoch, _ in state.epochs]
    losses = list(dict.fromkeys(name for epoch in epochs for name in epoch.losses))
    numbers = ("epoch", *losses, "mAP50", "mAP50-95", "batch", "rate", "images/s", "memory")
    table = plain_table(*numbers, "", right=frozenset(numbers))
    best = best_epoch(state)
    attempt = epochs[0].attempt
    for epoch in epochs:
        table.add_row(*_cells(epoch, losses), _remark(epoch, best, attempt))
        attempt = epoch.attempt
    console.print(table)
    if len(epochs) > 1:
        console.print()
        for name, line in _curves(epochs, losses):
            console.print(f"[dim]{escape(name):10}[/]{line}")


def _cells(epoch: TrainingProgressed, losses: list[str]) -> Iterator[str]:
    yield str(epoch.epoch)
    for name in losses:
        yield f"{epoch.losses[name]:.3f}" if name in epoch.losses else "-"
    yield f"{epoch.map50:.3f}"
    yield f"{epoch.map50_95:.3f}"
    yield str(epoch.batch or "-")
    yield "-" if epoch.learning_rate is None else f"{epoch.learning_rate:.2g}"
    yield "-" if epoch.images_per_s is None else f"{epoch.images_per_s:.1f}"
    yield decimal(epoch.memory_bytes) if epoch.memory_bytes else "-"


def _remark(epoch: TrainingProgressed, best: int | None, attempt: int) -> str:
    said = ["[green]best[/]"] if epoch.epoch == best else []
    said += [f"[dim]attempt {epoch.attempt}[/]"] if epoch.attempt != attempt else []
    return ", ".join(said)


def _curves(epochs: list[TrainingProgressed], losses: list[str]) -> Iterator[tuple[str, str]]:
    """Yield a line for mAP50, between 0 and 1, and one for the sum of the losses, between its own extremes."""
    best = max(epoch.map50 for epoch in epochs)
    yield "mAP50", f"{curve([epoch.map50 for epoch in epochs])} best {best:.3f}"
    if losses:
        sums = [sum(epoch.losses.values()) for epoch in epochs]
        yield "loss", f"{curve(sums, min(sums), max(sums))} {sums[0]:.2f} to {sums[-1]:.2f}"


def show_results(finished: TrainingFinished, console: Console) -> None:
    """Print the figures on test, with what is known of their certainty, beside the champion's."""
    test, champion = finished.test, finished.champion
    columns = ("validation", "test", "95 % interval", *(("champion", "difference") if champion else ()))
    table = plain_table("", *columns, right=frozenset(columns))
    for name in _FIGURES:
        cells = [
            f"{getattr(finished.validation, name):.3f}",
            f"{getattr(test, name):.3f}",
            within(_interval(test, name)),
        ]
        cells += _beside(champion, name) if champion else []
        table.add_row(_CALLED[name], *cells)
    trained = f" of {finished.epochs}" if finished.epochs else ""
    console.print(f"best epoch {finished.best_epoch}{trained}; {count(test.images, 'test image')}", style="dim")
    console.print(table)
    if champion:
        console.print(f"champion: model {champion.model[:SHORT]}, on the same images", style="dim")
    _show_classes(test, champion, console)


def _beside(champion: ChampionMetrics, name: str) -> list[str]:
    difference = ""
    if name == "map50":
        difference = f"{champion.difference:+.3f}"
        if champion.difference_interval is not None:
            difference += f" ({champion.difference_interval.low:+.3f} … {champion.difference_interval.high:+.3f})"
    return [f"{getattr(champion.test, name):.3f}", difference]


def _interval(metrics: Metrics, name: str) -> Interval | None:
    interval: Interval | None = getattr(metrics, f"{name}_interval", None)
    return interval


def _show_classes(test: Metrics, champion: ChampionMetrics | None, console: Console) -> None:
    if not test.per_class:
        return
    columns = ("mAP50-95", *(("champion",) if champion else ()))
    table = plain_table("class", *columns, right=frozenset(columns))
    for name, value in sorted(test.per_class.items(), key=lambda item: -item[1]):
        theirs = champion.test.per_class.get(name) if champion else None
        cells = ["-" if theirs is None else f"{theirs:.3f}"] if champion else []
        table.add_row(escape(name), f"{value:.3f}", *cells)
    console.print()
    console.print(table)
