"""How a status looks on a terminal."""

import io

from rich.console import Console

from labelstream_cli.status_view import show
from labelstream_local.status import Program, Status


def shown(*programs: Program, **facts: object) -> list[str]:
    status = Status("here", bool(programs), programs, (), (), facts.get("dataset"), facts.get("model"))
    console = Console(width=100, file=io.StringIO())
    show(status, console)
    return console.file.getvalue().splitlines()[-2:]  # type: ignore[attr-defined]  # it is the StringIO from above


def test_what_a_service_that_is_down_would_tell_is_not_known() -> None:
    down = (Program("trainer", "DOWN"), Program("inference", "DOWN"))
    assert shown(*down) == shown() == [
        "dataset  not known: trainer does not answer", "model    not known: inference does not answer",
    ]  # fmt: skip


def test_a_dataset_and_a_model_that_are_not_there_yet_are_none() -> None:
    up = (Program("trainer", "RUNNING", ready=True), Program("inference", "RUNNING", ready=False))
    assert shown(*up) == ["dataset  none yet", "model    none yet"]
    assert shown(*up, dataset={"id": "d", "samples": {"train": 8}}, model={"default": "m"}) == [
        "dataset  id: d, samples: train: 8", "model    default: m",
    ]  # fmt: skip
