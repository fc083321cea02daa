"""How one model looks on a terminal: where it comes from, how good it is, each of its formats, and when it served."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape

from labelstream.events.training import TrainingFinished
from labelstream_cli.datasets.tables import plain_table
from labelstream_cli.datasets.words import count
from labelstream_cli.jobs.results_view import show_results
from labelstream_cli.jobs.show_view import recipe_in_words
from labelstream_cli.jobs.words import SHORT, moment, within
from labelstream_cli.models.book import Books
from labelstream_cli.models.comparison import NAMES
from labelstream_cli.models.evaluation import ClassScore
from labelstream_cli.models.facts import as_entry, as_time, standing_of, why_not
from labelstream_cli.models.formats_view import formats_as_json, show_formats
from labelstream_cli.models.list_view import STYLES
from labelstream_cli.models.side import Side

_USUAL = 80  # characters: what tables of figures need


def show_model(books: Books, side: Side, console: Console) -> None:
    """Print one model."""
    state, standing = side.state, standing_of(books.models, side.state)
    console.print(f"[bold]{state.model}[/]  [{STYLES[standing]}]{standing}[/]", soft_wrap=True)
    table = plain_table("", "")
    table.show_header = False
    for label, text in (*_made(side), *_life(books, side)):
        table.add_row(f"[dim]{label}[/]", escape(text))
    console.print(table)
    console.print()
    if side.trained is not None and console.width < _USUAL:
        _show_figures(side.trained, console)
    elif side.trained is not None:
        show_results(_without_classes(side.trained) if _scores(side) else side.trained, console)
    else:
        test = state.exported.test
        console.print(f"mAP50 {test.map50:.3f}, mAP50-95 {test.map50_95:.3f} on {count(test.images, 'test image')}")
    _show_classes(side, console)
    console.print()
    show_formats(side, console)
    for line in (*side.missing, *_next(side)):
        console.print(line, markup=False, soft_wrap=True, style="dim")


def _show_figures(trained: TrainingFinished, console: Console) -> None:
    """Print the figures on test with few columns."""
    test, champion = trained.test, trained.champion
    beside = (champion.test,) if champion else ()
    columns = ("test", "95 %", *("champion" for _ in beside))
    table = plain_table("", *columns, right=frozenset(columns))
    for field, name in NAMES.items():
        interval = within(getattr(test, f"{field}_interval", None))
        table.add_row(name, _figure(getattr(test, field)), interval, *(_figure(getattr(one, field)) for one in beside))
    console.print(table)
    if champion:
        spread = champion.difference_interval
        sure = f", with 95 % confidence {spread.low:+.3f} … {spread.high:+.3f}" if spread else ""
        said = f"mAP50 {champion.difference:+.3f} over the champion, {champion.model[:SHORT]}{sure}"
        console.print(said, style="dim")


def _made(side: Side) -> Iterator[tuple[str, str]]:
    state, exported = side.state, side.state.exported
    yield "project", state.project
    more = f", edition {exported.edition}: formats were added to the same weights" if exported.edition > 1 else ""
    yield "exported", f"{moment(state.envelope.time_ms)}{more}"
    yield "training", exported.job
    images = f", {count(side.dataset.images, 'image')}, cut {side.dataset.cut.offset}" if side.dataset else ""
    yield "dataset", f"{exported.dataset_id[:SHORT]}{images}"
    if side.job is not None:
        yield "recipe", recipe_in_words(side.job.requested.recipe)
    if side.manifest is not None:
        schema = side.manifest.class_schema
        yield "classes", f"{schema.name}: {', '.join(schema.classes)}"
        yield "input", f"{side.manifest.image_size} × {side.manifest.image_size} pixels"
        yield "made with", ", ".join(f"{name} {version}" for name, version in sorted(side.manifest.versions.items()))


def _life(books: Books, side: Side) -> Iterator[tuple[str, str]]:
    state = side.state
    for promotion in state.promotions:
        event = promotion.event
        by = f" by {event.by}" if event.by else ""
        yield f"promoted #{event.number}", f"{moment(promotion.time_ms)}, {event.cause}{by}: {event.reason}"
    for told in books.replicas.without(state.model):
        yield f"not at {told.replica}", f"{moment(told.time_ms)}, #{told.number}: {told.words}"
    if state.withdrawn is not None:
        by = f"by {state.withdrawn.by}: " if state.withdrawn.by else ""
        yield "withdrawn", f"{by}{state.withdrawn.reason}"
    elif not state.promotions:
        yield "not promoted", why_not(books, state)


def _show_classes(side: Side, console: Console) -> None:
    """Print each class with its interval, where the evaluation has them."""
    scores = _scores(side)
    if not scores:
        return
    further = ("mAP50", "precision", "recall") if console.width >= _USUAL else ()
    numbers = ("boxes", "mAP50-95", *further)
    table = plain_table("class", *numbers, "95 % of mAP50-95", right=frozenset(numbers))
    for column in table.columns[1:]:
        column.no_wrap = True
    for each in sorted(scores, key=lambda score: -(score.map50_95 or 0)):
        figures = (_figure(each.map50), _figure(each.precision), _figure(each.recall))[: len(further)]
        interval = within(each.map50_95_interval)
        table.add_row(escape(each.name), f"{each.boxes:,}", _figure(each.map50_95), *figures, interval)
    console.print()
    console.print(table)


def _scores(side: Side) -> list[ClassScore]:
    return [each for each in (side.tested.model.classes if side.tested else ()) if each.boxes]


def _without_classes(trained: TrainingFinished) -> TrainingFinished:
    """Return the results without their table of classes: the evaluation has a better one."""
    return trained.model_copy(update={"test": trained.test.model_copy(update={"per_class": {}})})


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _next(side: Side) -> Iterator[str]:
    """Say where more is to be found."""
    state, digits = side.state, side.state.model[:SHORT]
    if state.exported.report is not None:
        report = state.exported.report
        yield f"report: {report.key} in the model bucket, {decimal(report.size_bytes)}"
        yield f"`labelstream models show {digits} --report report.html` saves it"
    yield f"`labelstream jobs show {state.exported.job[:SHORT]}` tells how it was trained"


def everything_as_json(books: Books, side: Side) -> dict[str, Any]:
    """Return it for machines."""
    state, trained = side.state, side.trained
    promotions = [
        {**each.event.model_dump(mode="json"), "time": as_time(each.time_ms)} for each in state.promotions
    ]  # fmt: skip
    return {
        **as_entry(books, state),
        **formats_as_json(side),
        "promotions": promotions,
        "test": state.exported.test.model_dump(mode="json"),
        "validation": trained.validation.model_dump(mode="json") if trained else None,
        "champion": trained.champion.model_dump(mode="json") if trained and trained.champion else None,
        "classes": [each.model_dump(mode="json") for each in side.tested.model.classes] if side.tested else [],
        "recipe": side.job.requested.recipe if side.job else None,
        "manifest": state.exported.manifest.model_dump(mode="json"),
        "report": state.exported.report.model_dump(mode="json") if state.exported.report else None,
        "missing": list(side.missing),
    }
