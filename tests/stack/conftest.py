from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

from labelstream_local.stack import Options, Stack, down, up

Eventually = Callable[[Callable[[], bool]], None]

SERVERS_ONLY = Options(services=())
STORE_ONLY = Options(services=(), servers=("seaweedfs",))  # comes up in a second


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack of the two servers, shared by the session's tests."""
    directory = tmp_path_factory.mktemp("stack") / "in a folder with spaces"
    try:
        yield up(directory, SERVERS_ONLY)
    finally:
        down(directory)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A directory for a stack that the test starts itself."""
    try:
        yield tmp_path / "stack"
    finally:
        down(tmp_path / "stack")


@pytest.fixture
def eventually() -> Eventually:
    """Wait until something is true; fail when it does not become so."""

    def wait(happened: Callable[[], bool]) -> None:
        deadline = monotonic() + 90
        while not happened():
            assert monotonic() < deadline, "it did not happen within 90 seconds"
            sleep(0.1)

    return wait
