from __future__ import annotations

from pathlib import Path

import pytest

from .registry_world import Registry


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry.under(tmp_path)
