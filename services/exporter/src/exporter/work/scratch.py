"""What a worker keeps on its disk: images of the datasets that it worked for last. All of it can be fetched again.

ROOT/datasets/<id>/   images for proofs and calibrations          ROOT/jobs/<job>/   what one job needs and makes
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labelstream.service.owning import owned


@dataclass(frozen=True)
class Scratch:
    """A folder that belongs to one worker."""

    root: Path
    keep_datasets: int = 2

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Have the folder to ourselves. Raises Misconfigured when another worker works there."""
        with owned(self.root, "LABELSTREAM_STATE_DIR"):
            shutil.rmtree(self.root / "jobs", ignore_errors=True)
            yield

    @contextmanager
    def job(self, job: str) -> Iterator[Path]:
        """Give an empty folder for a job, which goes when the job ends, however it does."""
        folder = self.root / "jobs" / job
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def dataset(self, dataset_id: str) -> Iterator[Path]:
        """Give the folder of a dataset's images; the ones used longest ago go when there are too many."""
        folder = self.root / "datasets" / dataset_id
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        others = sorted((path for path in folder.parent.iterdir() if path != folder), key=_used_ns)
        for path in others[: max(0, len(others) + 1 - self.keep_datasets)]:
            shutil.rmtree(path, ignore_errors=True)
        yield folder


def _used_ns(path: Path) -> int:
    return path.stat().st_mtime_ns
