"""How a status looks on a terminal."""

import io

from rich.console import Console

from labelstream.events.base import ANNOTATION_EVENTS
from labelstream_cli.status_view import show
from labelstream_local.reports import Report
from labelstream_local.status import Program, Progress, Status, Stream, progress_of


def shown(*programs: Program, **facts: object) -> list[str]:
    status = Status("here", bool(programs), programs, (), (), facts.get("dataset"), facts.get("model"))
    console = Console(width=100, file=io.StringIO())
    show(status, console)
    return console.file.getvalue().splitlines()[-3:]  # type: ignore[attr-defined]  # it is the StringIO from above


def test_what_a_service_that_is_down_would_tell_is_not_known() -> None:
    down = (Program("trainer", "DOWN"), Program("inference", "DOWN"))
    assert shown(*down) == shown() == [
        "dataset  not known: trainer does not answer", "model    not known: inference does not answer",
        "next training: not known: trainer does not answer",
    ]  # fmt: skip


def test_a_dataset_and_a_model_that_are_not_there_yet_are_none() -> None:
    up = (Program("trainer", "RUNNING", ready=True), Program("inference", "RUNNING", ready=False))
    assert shown(*up) == ["dataset  none yet", "model    none yet", "next training: not known yet"]
    assert shown(*up, dataset={"id": "d", "project": "harbour", "samples": {"train": 8, "test": 2}}) == [
        "dataset  d of harbour: 8 train, 2 test", "model    none yet", "next training: not known yet",
    ]  # fmt: skip


def test_the_model_of_each_project_is_told_with_what_runs_and_what_it_learned() -> None:
    up = (Program("inference", "RUNNING", ready=True),)
    model = {"model": "m", "promotion": 3, "artifact": "onnx-fp32", "backend": "CPU", "dataset": "d"}
    assert shown(*up, model={"default": {**model, "on_probation": True}, "harbour": None})[:2] == [
        "model    default: m, as onnx-fp32 by CPU, promotion 3, dataset d, on probation",
        "model    harbour: none yet",
    ]


def test_how_far_the_augmenter_is_is_told_of_each_project_also_before_its_first_batch() -> None:
    fact = {"answered_up_to": 41, "batches_in_flight": 1, "closed_up_to": 60}
    reports = {"augmenter": Report(True, {}, {}, {"progress of harbour": fact})}
    streams = (Stream(ANNOTATION_EVENTS, 99),)
    progress = tuple(progress_of(reports, streams, ("default", "harbour")))
    assert progress == (Progress("default", None, 0, None), Progress("harbour", 41, 1, 58))
    assert tuple(progress_of({"augmenter": None}, streams, ("default",))) == ()
    console = Console(width=100, file=io.StringIO())
    show(Status("here", True, (), (), (), None, None, progress), console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO from above
    assert "no batch since the augmenter started" in shown
    assert [line.split() for line in shown.splitlines() if line.startswith("harbour")] == [
        ["harbour", "41", "1", "batch", "58"]
    ]
