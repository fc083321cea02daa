"""Finding benchmarks: a module of this folder is one when it defines `contests`."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import cast

from benchmarks.pairs import Contest

FOLDER = Path(__file__).parent
Contests = Callable[[Path], AbstractAsyncContextManager[list[Contest]]]


def descriptions() -> dict[str, str]:
    """Return the first line of each benchmark's docstring, by name; nothing is imported."""
    found = {}
    for path in sorted(FOLDER.glob("[a-z]*.py")):
        tree = ast.parse(path.read_text())
        if any(isinstance(one, ast.AsyncFunctionDef) and one.name == "contests" for one in tree.body):
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def load(name: str) -> Contests:
    """Import one benchmark; return its `contests`, which takes an empty folder to work in."""
    return cast("Contests", importlib.import_module(f"benchmarks.{name}").contests)
