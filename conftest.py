"""Gives every test the fixtures of the embedded stack, and deals the files to two processes, the slow ones first."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["labelstream_local.testing"]

ROOT = Path(__file__).parent
# The longest go first, so that no process is left alone with one at the end.
SLOW = ("tests/pipeline", "tests/stack", "tests/streams", "tests/jobs", "services/trainer")


def _place(item: pytest.Item) -> str:
    return str(item.path.relative_to(ROOT))


def _rank(item: pytest.Item) -> int:
    return next((rank for rank, slow in enumerate(SLOW) if _place(item).startswith(slow)), len(SLOW))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep each file's tests in one process; those of the pipeline share a stack, those of the stack another."""
    items.sort(key=_rank)
    for item in items:
        rank = _rank(item)
        item.add_marker(pytest.mark.xdist_group(SLOW[rank] if rank < 2 else _place(item)))
