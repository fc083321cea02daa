"""The lanes of the picture: one for each program, with what was done to it; above them trainings, models and alerts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from chaos.diary import Done
from chaos.report import Report
from chaos.schedule import EVERYBODY, NETWORK
from labelstream.events.model import ModelPromoted
from labelstream.events.training import TrainingFinished, TrainingRequested

COLOURS = {
    "kill": "#c0392b", "pause": "#e67e22", "cut": "#8e44ad", "black-hole": "#5d6d7e", "delay": "#aab7b8",
    "half-close": "#bb8fce", "full-disk": "#16a085", "clock": "#2e86c1",
}  # fmt: skip
EVENTS = {"training": "#f4d03f"}
LEAST_S = 1.5  # of a bar that one can see
PROMOTED, FIRED, WRONG = "#1e8449", "#c0392b", "#c0392b"


@dataclass(frozen=True)
class Bar:
    """Something that lasted; seconds from the beginning."""

    since: float
    until: float
    colour: str
    label: str = ""


@dataclass(frozen=True)
class Mark:
    """Something that happened at a moment."""

    at: float
    shape: str
    colour: str
    label: str


@dataclass(frozen=True)
class Ready:
    """A time in which a program was ready, or not."""

    since: float
    until: float
    is_ready: bool


@dataclass(frozen=True)
class Lane:
    """One line of the picture."""

    name: str
    bars: list[Bar] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    ready: list[Ready] = field(default_factory=list)


def lanes(report: Report) -> list[Lane]:
    """Return all lanes, from the top."""
    programs = [*report.course.stage.menu.services, *report.course.stage.menu.servers]
    return [*_happened(report), *(_of(report, program) for program in programs)]


def _happened(report: Report) -> Iterator[Lane]:
    """Yield what the run came to: wrongs, alerts, trainings and promotions; only lanes that hold something."""
    course, begun = report.course, report.course.diary.begun
    wrong = [Mark(at, "X", WRONG, "") for at in course.evidence.wrong.values()]
    fired = [] if course.alarms is None else sorted(course.alarms.fired.items(), key=lambda one: one[1])
    alerts = [Mark(at - begun, "v", FIRED, name) for name, at in fired]
    seen = course.streams.times
    ends = {one.job: at - begun for one, at in seen(TrainingFinished)}
    now = max([0.0, *ends.values()])
    trainings = [
        Bar(at - begun, ends.get(one.job, now), EVENTS["training"], one.job[:6]) for one, at in seen(TrainingRequested)
    ]
    promotions = [Mark(at - begun, "^", PROMOTED, f"{one.number}") for one, at in seen(ModelPromoted)]
    yield from (
        lane
        for lane in (Lane("WRONG", marks=wrong), Lane("alerts", marks=alerts), Lane("trainings", trainings),
                     Lane("promotions", marks=promotions))
        if lane.bars or lane.marks
    )  # fmt: skip


def _of(report: Report, program: str) -> Lane:
    """Return what was done to a program. A server's lane also has what everybody was cut off from."""
    course, begun = report.course, report.course.diary.begun
    bars = [
        Bar(one.begun - begun, max(one.begun + LEAST_S, one.healed or one.begun) - begun, COLOURS[one.fault.kind], word)
        for one in course.diary.done
        if (word := _word(one, program)) is not None
    ]
    looks = course.vitals.looks.get(program)
    stretches = [] if looks is None else looks.stretches
    ready = [Ready(one.since - begun, one.until - begun, one.is_ready) for one in stretches]
    return Lane(program, bars, ready=ready)


def _word(done: Done, program: str) -> str | None:
    """Return what is written on a bar of a program's lane; None when the fault belongs to another one."""
    fault = done.fault
    if fault.target == EVERYBODY:
        return EVERYBODY if fault.server == program else None
    if fault.target != program:
        return None
    if fault.kind == "clock":
        return f"{fault.shift_s // 60:+} min"
    return fault.server if fault.kind in NETWORK else ""
