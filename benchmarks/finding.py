"""Finding benchmarks: a module of this folder is one when it defines `contests`, `figures` or `sheets`."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import cast

from benchmarks.figures import Figure
from benchmarks.pairs import Contest
from benchmarks.sheets import Sheets

FOLDER = Path(__file__).parent
KINDS = ("contests", "figures", "sheets")
Contests = Callable[[Path], AbstractAsyncContextManager[list[Contest]]]
Figures = Callable[[Path], Awaitable[list[Figure]]]
ManySheets = Callable[[Path], Awaitable[Sheets]]


def descriptions() -> dict[str, str]:
    """Return the first line of each benchmark's docstring, by name; nothing is imported."""
    found = {}
    for path in sorted(FOLDER.glob("[a-z]*.py")):
        tree = ast.parse(path.read_text())
        if any(isinstance(one, ast.AsyncFunctionDef) and one.name in KINDS for one in tree.body):
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def load_contests(name: str) -> Contests | None:
    """Import one benchmark; return its `contests`, which takes an empty folder to work in, if it has any."""
    return cast("Contests | None", getattr(importlib.import_module(f"benchmarks.{name}"), "contests", None))


def load_figures(name: str) -> Figures | None:
    """Import one benchmark; return its `figures`, which takes an empty folder to work in, if it has any."""
    return cast("Figures | None", getattr(importlib.import_module(f"benchmarks.{name}"), "figures", None))


def load_sheets(name: str) -> ManySheets:
    """Import one benchmark; return its `sheets`, which takes an empty folder to work in."""
    return cast("ManySheets", importlib.import_module(f"benchmarks.{name}").sheets)
