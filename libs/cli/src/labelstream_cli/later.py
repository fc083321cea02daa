"""Commands that are known by name and one line of help, and loaded when somebody types them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

MARKUP: Final = "markdown"


@dataclass(frozen=True)
class Later:
    """A command, or a group of them, that the `register(app)` of a module adds."""

    name: str
    module: str
    help: str  # what the list of commands says of it: the module says the same

    def load(self) -> Any:  # a command of typer's, whose types are its own affair
        """Import the module, and return the command itself."""
        app = typer.Typer(rich_markup_mode=MARKUP)
        import_module(self.module).register(app)
        return get_group(app).commands[self.name]


def group_of(commands: Iterable[Later]) -> type[TyperGroup]:
    """Return a group of the commands, for `typer.Typer(cls=…)`."""
    waiting = [_Waiting(command) for command in commands]

    class Group(TyperGroup):
        def __init__(self, **told: Any) -> None:
            super().__init__(**{**told, "commands": waiting})

    return Group


class _Waiting(TyperCommand):
    """Stands in the list for a command that is not loaded."""

    def __init__(self, later: Later) -> None:
        super().__init__(later.name, help=later.help, rich_markup_mode=MARKUP)
        self._later = later

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Let the command itself go on."""
        return self._later.load().make_context(info_name, args, parent, **extra)
