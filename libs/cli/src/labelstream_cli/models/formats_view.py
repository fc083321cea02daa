"""How the formats of one model look on a terminal: their proof beside its limits, and why others are not there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from labelstream.events.model import Agreement, AgreementLimits, ArtifactRef, ModelRefused
from labelstream.exports import WaitingFormat
from labelstream_cli.datasets.tables import plain_table
from labelstream_cli.jobs.words import moment
from labelstream_cli.models.facts import FormatState
from labelstream_cli.models.list_view import MARKS
from labelstream_cli.models.side import Side

_COLUMNS = ("format", "", "size", "unmatched boxes", "corner px", "score", "mAP50-95 lost", "")
_RIGHT = frozenset(_COLUMNS[2:7])
_WIDE = 110  # characters: there is room for the table


@dataclass(frozen=True)
class _Row:
    """What is told of one format."""

    name: str
    state: FormatState
    size: str
    figures: tuple[str, ...]  # as the middle columns have them
    note: str


def show_formats(side: Side, console: Console) -> None:
    """Print each format of a model: in a table, or one below the other where there is no room for it."""
    rows = list(_rows(side))
    if console.width >= _WIDE:
        console.print(_table(rows))
    else:
        for row in rows:
            _show_below(row, console)
    if any(ref.agreement for ref in side.state.exported.artifacts):
        console.print(
            "the largest differences from the trained weights on test images, in brackets what is allowed", style="dim"
        )
    for refused in side.refused:
        console.print(f"[red]✗[/] {escape(_refusal(refused))}")
    for waiting in side.waiting:
        console.print(f"[yellow]…[/] {escape(_waiting(waiting))}")


def _rows(side: Side) -> Iterator[_Row]:
    for ref in side.state.exported.artifacts:
        artifact = side.artifact(ref.name)
        size = decimal(artifact.plain_bytes if artifact else ref.big_part.size_bytes)
        told = figures(ref.agreement, artifact.limits if artifact else None)
        yield _Row(ref.name, "unproven" if ref.agreement is None else "proved", size, told, _note(side, ref))
    for refused in side.refused:
        told = figures(refused.agreement, refused.limits)
        yield _Row(refused.format or "", "refused", "-", told, refused.rule)
    for waiting in side.waiting:
        yield _Row(waiting.format, "waiting", "-", ("",) * 4, f"since {moment(waiting.since_ms)}")


def _table(rows: Sequence[_Row]) -> Table:
    table = plain_table(*_COLUMNS, right=_RIGHT)
    for column in table.columns[:-1]:
        column.no_wrap = True
    for row in rows:
        table.add_row(escape(row.name), MARKS[row.state], row.size, *row.figures, escape(row.note))
    return table


def _show_below(row: _Row, console: Console) -> None:
    """Print a format over several lines that break between words."""
    size = "" if row.size == "-" else f"  {row.size}"
    console.print(f"{escape(row.name)} {MARKS[row.state]}{size}")
    told = [
        f"{name} {figure}" for name, figure in zip(_COLUMNS[3:7], row.figures, strict=True) if figure not in ("", "-")
    ]
    for line in (", ".join(told), escape(row.note)):
        if line:
            console.print(Padding(line, (0, 0, 0, 2)))


def figures(agreement: Agreement | None, limits: AgreementLimits | None) -> tuple[str, str, str, str]:
    """Tell how far a format is from the trained weights, each figure with its limit in brackets."""
    if agreement is None:
        return "-", "-", "-", "-"
    lost = map_lost(agreement)
    allowed = f" ({limits.max_unmatched * agreement.boxes:.0f})" if limits else ""
    return (
        f"{agreement.unmatched}{allowed}",
        _of(agreement.max_box_px, limits.max_box_px if limits else None),
        _of(agreement.max_score, limits.max_score if limits else None),
        "-" if lost is None else _of(lost, limits.max_map_drop if limits else None),
    )


def map_lost(agreement: Agreement) -> float | None:
    """Return the mAP50-95 that the format lost; below 0 when it gained."""
    if agreement.map50_95 is None or agreement.trained_map50_95 is None:
        return None
    return agreement.trained_map50_95 - agreement.map50_95


def _of(value: float, limit: float | None) -> str:
    shown = f"{value:.4f}" if abs(value) < 0.1 else f"{value:.2f}"
    return shown if limit is None else f"{shown} ({limit:g})"


def _note(side: Side, ref: ArtifactRef) -> str:
    artifact = side.artifact(ref.name)
    if ref.agreement is None:
        return f"not run: {ref.unproven or 'it is not said why'}"
    said = f"{ref.agreement.images} images, {ref.agreement.boxes} boxes"
    if artifact is not None and artifact.calibration is not None:
        said += f"; calibrated on {artifact.calibration.images} images ({artifact.calibration.digest[:8]})"
    return said


def _refusal(refused: ModelRefused) -> str:
    said = f"{refused.format} is refused: {refused.rule}: {refused.reason}"
    if refused.agreement is not None and refused.agreement.worst is not None:
        said += f"; worst on image {refused.agreement.worst.image}"
    if refused.picture is not None:
        said += f", see {refused.picture.key} in the data bucket"
    return said


def _waiting(waiting: WaitingFormat) -> str:
    return f"{waiting.format} waits since {moment(waiting.since_ms)}: {waiting.why}"


def formats_as_json(side: Side) -> dict[str, Any]:
    """Return the formats for machines."""
    artifacts = []
    for ref in side.state.exported.artifacts:
        artifact = side.artifact(ref.name)
        more = artifact.model_dump(mode="json", exclude={"agreement", "unproven"}) if artifact else {}
        artifacts.append({**more, **ref.model_dump(mode="json")})
    return {
        "artifacts": artifacts,
        "refused_formats": [each.model_dump(mode="json") for each in side.refused],
        "waiting_formats": [each.model_dump(mode="json") for each in side.waiting],
    }
