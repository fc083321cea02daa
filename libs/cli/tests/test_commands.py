"""The list of commands, which is shown before any of them is loaded."""

import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest
import typer
from typer.main import get_group
from typer.testing import CliRunner

import labelstream_cli
from labelstream_cli.later import Later
from labelstream_cli.main import app, commands

HEAVY = ("boto3", "rstream", "pyarrow", "cv2", "numpy", "pydantic", "httpx", "labelstream")


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.name)
def test_the_list_says_of_a_command_what_the_command_says_of_itself(command: Later) -> None:
    first_lines = (command.load().help or "").partition("\n\n")[0]
    assert command.help == " ".join(first_lines.split())


def test_every_command_of_every_module_is_in_the_list() -> None:
    made: set[tuple[str, str]] = set()
    for module in pkgutil.iter_modules(labelstream_cli.__path__, f"{labelstream_cli.__name__}."):
        if module.name.endswith("_commands"):
            alone = typer.Typer()
            import_module(module.name).register(alone)
            made |= {(name, module.name) for name in get_group(alone).commands}
    listed = {(one.name, one.module) for one in commands()}
    assert made
    assert made <= listed


def test_the_list_is_shown_without_loading_what_commands_need() -> None:
    code = f"""
import sys
from typer.testing import CliRunner
from labelstream_cli.main import app
assert CliRunner().invoke(app, ["--help"]).exit_code == 0
print([name for name in {HEAVY} if name in sys.modules])
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_a_mistyped_command_is_told_the_one_that_is_like_it() -> None:
    result = CliRunner().invoke(app, ["datset", "list"])
    assert result.exit_code == 2
    assert "Did you mean 'dataset'?" in result.output
