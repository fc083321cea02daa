"""Gives every test the fixtures of the embedded stack, and deals the files to two processes, the slow ones first."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = ["labelstream_local.testing"]

ROOT = Path(__file__).parent
# The files of such a folder stay in one process: they share a stack.
SHARING = ("tests/pipeline", "tests/stack", "tests/annotating")
# The longest go first, so that no process is left alone with one at the end. (Without `--no-loadscope-reorder`,
# pytest-xdist puts first what has the most tests. Its own groups need `item._nodeid`, which pytest 9.2 has no more.)
SLOW = (
    *SHARING,
    "tests/trainer",
    "tests/backup",
    "tests/ingest/test_outages",
    "tests/datasets",
    "tests/augmenter",
    "services/trainer/tests/engine",
    "libs/cli/tests/test_push_command",
    "tests/streams",
    "services/exporter/tests/engine",
    "services/augmenter",
    "libs/datasets",
    "tests/ingest",
    "tests/producer",
    "tests/jobs",
    "tests/inference",
    "tests/blobs",
)

# Between the choice of a port and its use lie seconds: two processes shall not choose the same one.
if "PYTEST_XDIST_WORKER" in os.environ:
    number, each = int(os.environ["PYTEST_XDIST_WORKER"][2:]), 10_000 // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ["LABELSTREAM_LOCAL_PORTS"] = f"{11_000 + number * each}-{11_000 + (number + 1) * each - 1}"

# No test asserts a time: it would fail on a busy machine. What is drawn is the same in each run, but for `make chaos`.
settings.register_profile("labelstream", deadline=None, derandomize="FUZZ" not in os.environ)
settings.load_profile("labelstream")


@pytest.fixture(autouse=True)
def _logs_by_default() -> Iterator[None]:
    """Undo what a command line or a service did to the logs of this process, in a test or in a fixture of many."""
    root = logging.getLogger()
    level = root.level
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
    root.setLevel(level)


def _place(item: pytest.Item) -> str:
    return item.path.relative_to(ROOT).as_posix()


def _rank(item: pytest.Item) -> int:
    return next((rank for rank, slow in enumerate(SLOW) if _place(item).startswith(slow)), len(SLOW))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slow tests first."""
    items.sort(key=_rank)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Deal whole files, or folders whose tests share a stack."""
    return _ByPlace(config, log)


class _ByPlace(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folder for folder in SHARING if file.startswith(f"{folder}/")), file)
