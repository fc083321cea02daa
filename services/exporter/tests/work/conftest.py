from pathlib import Path

import pytest

from .bench import Bench


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    """A dataset of twelve test images in two archives and eight training images in one."""
    bench = Bench(tmp_path / "work")
    await bench.archived("test", range(6))
    await bench.archived("test", range(6, 12))
    await bench.archived("train", range(20, 28))
    await bench.built()
    return bench
