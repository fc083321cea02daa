"""How the trainings under way, and the next one, look on a terminal."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from labelstream_cli.status_view import show
from labelstream_cli.training_view import next_trainings
from labelstream_local.status import Program, Status

NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)
NOTHING: dict[str, Any] = {
    "validated_since_last": None, "needed": None, "not_before": None, "next_scheduled": None, "asked_for": [],
}  # fmt: skip
WAITS = {
    "number": ({"validated_since_last": 212, "needed": 500}, "212 of 500 validated annotations"),
    "everything": (
        {
            "validated_since_last": 212, "needed": 500, "not_before": "2030-05-01T14:20:00Z",
            "next_scheduled": "2030-05-02T03:00:00Z", "asked_for": [7, 9],
        },
        "212 of 500 validated annotations, not before 14:20 UTC, scheduled 03:00 UTC, asked for up to offset 7 and 9",
    ),
    "schedule": (
        {"validated_since_last": 3, "next_scheduled": "2030-06-01T03:00:00Z"},
        "3 validated annotations, scheduled 2030-06-01 03:00 UTC",
    ),
    "nothing new": (
        {"validated_since_last": 0, "next_scheduled": "2030-05-01T13:00:00Z"},
        "nothing validated anew, scheduled 13:00 UTC",
    ),
    "request": ({}, "on request (`labelstream train`)"),
    "asked": ({"asked_for": [7]}, "asked for up to offset 7"),
}  # fmt: skip


@pytest.mark.parametrize("which", WAITS)
def test_the_next_training_is_told_with_all_that_it_waits_for(which: str) -> None:
    fact, told = WAITS[which]
    assert list(next_trainings({"default": {**NOTHING, **fact}}, now=NOW)) == [f"next training: {told}"]


def test_each_project_has_a_line() -> None:
    fact = {"validated_since_last": 1, "needed": 2}
    projects = {"default": {**NOTHING, **fact}, "harbour": NOTHING}
    assert list(next_trainings(projects, now=NOW)) == [
        "next training of default: 1 of 2 validated annotations",
        "next training of harbour: on request (`labelstream train`)",
    ]


def test_a_trainer_that_does_not_answer_or_has_not_looked_yet_is_said() -> None:
    assert list(next_trainings(None, known=False)) == ["next training: not known: trainer does not answer"]
    assert list(next_trainings(None)) == ["next training: not known yet"]


def test_trainings_under_way_are_shown_with_epoch_map_and_time_left() -> None:
    running = {
        "job": "0123456789abcdef", "project": "default", "state": "started", "attempt": 2, "worker": "box",
        "epoch": 12, "epochs": 100, "map50": 0.6789, "eta_s": 754.2, "recoveries": 1,
    }  # fmt: skip
    waiting = {
        "job": "fedcba", "project": "harbour", "state": "requested", "attempt": 0, "worker": "", "epoch": 0,
        "epochs": 100, "map50": None, "eta_s": None, "recoveries": 0,
    }  # fmt: skip
    up = (Program("trainer", "RUNNING", ready=True),)
    status = Status("here", True, up, (), (), None, None, trainings=[running, waiting])
    console = Console(width=120, file=io.StringIO())
    show(status, console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]  # it is the StringIO from above
    told = [" ".join(line.split()) for line in lines]
    assert "0123456789ab default started by box (attempt 2, recovered once) 12 of 100 0.679 12 min" in told
    assert "fedcba harbour requested 0 of 100 - -" in told
