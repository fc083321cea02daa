"""The runbooks name commands that there are, with options that they take."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer

from labelstream_cli.main import app

from .test_alerts import RUNBOOKS

NAMED = sorted(set(re.findall(r"`labelstream ([a-z][^`]*)`", RUNBOOKS.read_text())))


@pytest.mark.parametrize("line", NAMED)
def test_a_command_of_the_runbooks_exists(line: str) -> None:
    command: Any = typer.main.get_command(app)
    words = shlex.split(line.partition("&&")[0])
    while words and words[0][0] not in "-…" and hasattr(command, "commands"):
        word = words.pop(0)
        assert word in command.commands, line
        command = command.commands[word]
        if hasattr(command, "_later"):  # it is loaded when somebody types it
            command = command._later.load()
    taken = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= taken
