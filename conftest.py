"""Gives every test the fixtures of the embedded stack, and deals the files to two processes, the slow ones first."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["labelstream_local.testing"]

ROOT = Path(__file__).parent
# The files of such a folder stay in one process: they share a stack.
SHARING = ("tests/pipeline", "tests/stack")
# The longest go first, so that no process is left alone with one at the end. (Without `--no-loadscope-reorder`,
# pytest-xdist puts first what has the most tests.)
SLOW = (
    *SHARING,
    "tests/ingest/test_outages",
    "services/trainer/tests/engine",
    "libs/cli/tests/test_push_command",
    "tests/streams",
    "services/exporter/tests/engine",
    "services/augmenter",
    "tests/ingest",
    "tests/producer",
    "tests/jobs",
    "tests/inference",
    "tests/blobs",
)


def _place(item: pytest.Item) -> str:
    return item.path.relative_to(ROOT).as_posix()


def _rank(item: pytest.Item) -> int:
    return next((rank for rank, slow in enumerate(SLOW) if _place(item).startswith(slow)), len(SLOW))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep each file's tests in one process, and all of a folder's whose tests share a stack."""
    items.sort(key=_rank)
    for item in items:
        group = next((folder for folder in SHARING if _place(item).startswith(folder)), _place(item))
        item.add_marker(pytest.mark.xdist_group(group))
