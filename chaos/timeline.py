"""A picture of a run: what was sent and answered, which fault was there when, and what was ready."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.disturbing import INFERENCE
from chaos.lanes import COLOURS, EVENTS, Lane, lanes
from chaos.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BIN_S = 5.0
MINUTE_S = 60.0
BLUE, ORANGE, RED, GREEN, GREY = "#2471a3", "#d68910", "#c0392b", "#1e8449", "#d5d8dc"


def draw(report: Report, file: Path) -> None:
    """Draw it as a PNG file."""
    import matplotlib as mpl  # noqa: PLC0415  # the training library brings it; loading takes a second

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    drawn = lanes(report)
    asks = bool(report.course.asking.questions)
    heights = (1.3, 1.5, 0.36 * len(drawn)) if asks else (1.3, 0.36 * len(drawn))
    size = (18, 2.2 * len(heights) + 0.36 * len(drawn))
    figure, axes = plt.subplots(
        len(heights), 1, figsize=size, sharex=True, height_ratios=heights, layout="constrained", squeeze=False
    )
    panels = [row[0] for row in axes]
    _rates(panels[0], report)
    if asks:
        _answers(panels[1], report)
    _lanes(panels[-1], drawn)
    for panel in panels[:-1]:
        panel.grid(axis="x", color=GREY, linewidth=0.5)
        panel.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlim(0, _ends(report) / MINUTE_S)
    panels[-1].set_xlabel("minutes")
    _legend(panels[-1], drawn)
    wrong = len(report.course.evidence.wrong)
    figure.suptitle(
        f"chaos, seed {report.course.seed}, {len(report.course.diary.done)} faults in "
        f"{report.course.minutes:g} min: {f'{wrong} WRONG' if wrong else 'all is right'}",
        color=RED if wrong else GREEN,
    )
    figure.savefig(file, dpi=100)
    plt.close(figure)


def _ends(report: Report) -> float:
    """Return when the load had come to its end, in seconds from the beginning."""
    return max([1.0, *(stretch.until - report.course.diary.begun for stretch in report.course.vitals.stretches())])


def _rates(panel: Axes, report: Report) -> None:
    """Draw what was sent and what came back, a second."""
    course, begun, ends = report.course, report.course.diary.begun, _ends(report)
    sides = {
        ("messages sent", BLUE): [one.at - begun for one in course.producing.sent],
        ("predictions answered", ORANGE): [one.ended - begun for one in course.asking.questions if one.answer],
        ("predictions given up", RED): [one.ended - begun for one in course.asking.questions if not one.answer],
    }
    bins = [number * BIN_S for number in range(int(ends / BIN_S) + 2)]
    for (name, colour), times in sides.items():
        if times:
            rates = [each / BIN_S for each in _counts(times, bins)]
            panel.stairs(rates, [each / MINUTE_S for each in bins], label=name, color=colour, linewidth=1.3)
    panel.set_ylabel("a second")
    panel.set_ylim(bottom=0)
    panel.legend(loc="upper left", ncols=3, frameon=False, fontsize=8)


def _answers(panel: Axes, report: Report) -> None:
    """Draw how long each answer took, and when inference was down."""
    begun, ends = report.course.diary.begun, _ends(report)
    for begin, end in report.down:
        if begin < end:
            panel.axvspan(
                max(0.0, begin - begun) / MINUTE_S,
                min(end - begun, ends) / MINUTE_S,
                color=RED,
                alpha=0.12,
                linewidth=0,
            )
    answered = [one for one in report.course.asking.questions if one.answer is not None]
    asked = [(one.asked - begun) / MINUTE_S for one in answered]
    panel.plot(asked, [one.ended - one.asked for one in answered], ".", markersize=2.5, color=ORANGE)
    panel.set_yscale("log")
    panel.set_ylabel(f"seconds to the answer\n(red: {INFERENCE} is down)")


def _lanes(panel: Axes, drawn: Sequence[Lane]) -> None:
    """Draw a lane for each program: whether it was ready below, what was done to it above."""
    for number, lane in enumerate(drawn):
        height = len(drawn) - number - 1
        for stretch in lane.ready:
            colour = GREEN if stretch.is_ready else RED
            panel.barh(
                height - 0.36, (stretch.until - stretch.since) / MINUTE_S, 0.1, stretch.since / MINUTE_S, color=colour
            )
        for bar in lane.bars:
            panel.barh(
                height, (bar.until - bar.since) / MINUTE_S, 0.52, bar.since / MINUTE_S, color=bar.colour, alpha=0.85
            )
            panel.text(bar.since / MINUTE_S, height, f" {bar.label}", fontsize=6.5, va="center", clip_on=True)
        for order, mark in enumerate(lane.marks):
            row = height + (-0.2, 0.0, 0.2)[order % 3]  # labels of a moment stand one below the other
            panel.plot(mark.at / MINUTE_S, row, mark.shape, color=mark.colour, markersize=5)
            panel.text(mark.at / MINUTE_S, row, f"  {mark.label}", fontsize=6.5, va="center", clip_on=True)
        panel.axhline(height - 0.5, color=GREY, linewidth=0.5)
    panel.set_yticks(range(len(drawn)), [lane.name for lane in reversed(drawn)])
    panel.set_ylim(-0.5, len(drawn) - 0.5)
    panel.grid(axis="x", color=GREY, linewidth=0.5)
    panel.set_axisbelow(True)


def _legend(panel: Axes, drawn: Iterable[Lane]) -> None:
    """Name the colours that occur; below everything, so that it covers nothing."""
    from matplotlib.patches import Patch  # noqa: PLC0415

    used = {bar.colour for lane in drawn for bar in lane.bars}
    colours = {**COLOURS, **EVENTS}
    handles = [Patch(color=colour, label=name) for name, colour in colours.items() if colour in used]
    handles += [Patch(color=GREEN, label="ready"), Patch(color=RED, label="not ready")]
    panel.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=12, frameon=False, fontsize=8)


def _counts(times: Sequence[float], bins: Sequence[float]) -> list[int]:
    counts = [0] * (len(bins) - 1)
    for time in times:
        counts[min(max(int(time / BIN_S), 0), len(counts) - 1)] += 1
    return counts
