"""What `labelstream train` and `labelstream jobs` refuse before they reach anything, and their manuals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from labelstream_cli.main import app
from labelstream_cli.running import CommandFailed
from labelstream_cli.train_commands import recipe_of

JOBS = ("list", "show", "logs", "cancel", "retry")
TYPED = (
    ("train",),
    ("jobs", "list"),
    ("jobs", "show", "3fa9"),
    ("jobs", "logs", "-f"),
    ("jobs", "cancel", "3fa9", "--yes"),
    ("jobs", "retry", "3fa9"),
)


def typed(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "100", "LABELSTREAM_URL": ""})


def test_a_recipe_is_a_name_or_what_its_file_holds(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("epochs: 20\non_the_fly: {fliplr: 0.5}\n")
    assert recipe_of(None) is None
    assert recipe_of("yolo11n") == "yolo11n"
    assert recipe_of(str(mine)) == {"epochs": 20, "on_the_fly": {"fliplr": 0.5}}


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "can't be read: No such file"), (b"epochs: [", "is not YAML"), (b"- 3", "should hold fields"),
     (b"\xff\xfe\xfa", "can't be read")],
    ids=["missing", "torn", "a list", "binary"],
)  # fmt: skip
def test_a_file_that_is_no_recipe_is_refused_by_name(tmp_path: Path, content: bytes | None, said: str) -> None:
    mine = tmp_path / "mine.yaml"
    if content is not None:
        mine.write_bytes(content)
    with pytest.raises(CommandFailed, match=said) as refused:
        recipe_of(str(mine))
    assert str(mine) in str(refused.value)


@pytest.mark.parametrize("command", JOBS)
def test_the_manual_of_every_command_has_examples(command: str) -> None:
    result = typed("jobs", command, "--help")
    assert result.exit_code == 0
    assert f"labelstream jobs {command}" in result.output


def test_the_manual_of_train_says_what_its_exit_codes_mean() -> None:
    said = " ".join(typed("train", "--help").output.split())
    assert "labelstream train --recipe yolo11n" in said
    assert "Ctrl-C ends the waiting, not the training" in said


@pytest.mark.parametrize("arguments", TYPED, ids=" ".join)
def test_where_no_stack_is_up_it_is_said_how_to_start_one(arguments: tuple[str, ...], tmp_path: Path) -> None:
    result = typed(*arguments, "--dir", str(tmp_path))
    assert result.exit_code == 1
    assert "labelstream up" in result.output
    assert "--url" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "--at", "3", "--dataset", "3fa9"), "give --at or --dataset"),
        (("train", "--recipe", "nowhere.yaml"), "can't be read"),
        (("train", "--epochs", "0"), "--epochs"),
        (("jobs", "list", "--state", "done"), "there are only requested"),
        (("jobs", "logs", "-f", "--attempt", "1"), "leave out --attempt"),
        (("jobs", "cancel", "3fa9", "--json"), "add --yes"),
    ],
    ids=lambda one: one if isinstance(one, str) else " ".join(one),
)
def test_what_makes_no_sense_is_refused_before_anything_is_reached(
    arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    result = typed(*arguments, "--dir", str(tmp_path))
    assert result.exit_code != 0
    assert said in " ".join(result.output.replace("│", " ").split())
