"""What the code of a service imports of others, read from the files alone."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
SOURCES = (*sorted(ROOT.glob("libs/*/src")), *sorted(ROOT.glob("services/*/src")))


def imported_by(package: str) -> dict[str, str]:
    """Return what a package of ours and what it uses of ours import of others, each with a module that does."""
    seen: set[str] = set()
    waiting = [name for name in _modules() if name.partition(".")[0] == package]
    found: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        file = _file_of(name)
        if name in seen or file is None:
            continue
        seen.add(name)
        waiting.append(name.rpartition(".")[0])
        for other in _imports(ast.parse(file.read_text()), name, is_package=file.name == "__init__.py"):
            top = other.partition(".")[0]
            if _file_of(top):
                waiting.append(other)
            elif top not in sys.stdlib_module_names:
                found.setdefault(top, name)
    return found


def distributions(package: str) -> set[str]:
    """Return the names of what is installed under which a package can come."""
    return {canonicalize_name(name) for name in packages_distributions().get(package, [package])}


def _file_of(module: str) -> Path | None:
    if not module:
        return None
    path = Path(*module.split("."))
    candidates = (
        candidate for source in SOURCES for candidate in (source / path / "__init__.py", source / f"{path}.py")
    )
    return next((one for one in candidates if one.exists()), None)


def _modules() -> Iterator[str]:
    for source in SOURCES:
        for file in source.rglob("*.py"):
            yield ".".join(file.relative_to(source).with_suffix("").parts).removesuffix(".__init__")


def _imports(tree: ast.AST, module: str, *, is_package: bool) -> Iterator[str]:
    """Yield what a module imports, sooner or later; not what only type checkers do."""
    for one in ast.iter_child_nodes(tree):
        if isinstance(one, ast.Import):
            yield from (alias.name for alias in one.names)
        elif isinstance(one, ast.ImportFrom):
            parent = module if is_package else module.rpartition(".")[0]
            base = one.module if not one.level else ".".join(filter(None, (parent, one.module)))
            yield str(base)
            yield from (f"{base}.{alias.name}" for alias in one.names)
        elif not (isinstance(one, ast.If) and ast.unparse(one.test).endswith("TYPE_CHECKING")):
            yield from _imports(one, module, is_package=is_package)
