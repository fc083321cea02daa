"""A folder for backups, and stacks on the doubles."""

from pathlib import Path

import pytest

from labelstream_cli.backup.folder import FolderBlobs

from .world import World


@pytest.fixture
def files(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "backup")


@pytest.fixture
def old() -> World:
    """The stack that is backed up."""
    return World()


@pytest.fixture
def new() -> World:
    """An empty stack."""
    return World()
