"""What a worker keeps on its disk. All of it can be made again: datasets from archives, jobs from their checkpoints.

SCRATCH/datasets/<id>/   a dataset laid out          SCRATCH/jobs/<job>/   the folder of a job's engine
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labelstream.service.owning import owned

KEEP_JOBS = 2  # folders of jobs that were interrupted here; each may go on from what lies in the store, too


@dataclass(frozen=True)
class Scratch:
    """A folder that belongs to one worker."""

    root: Path
    keep_datasets: int = 3

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Have the folder to ourselves. Raises Misconfigured when another worker works there."""
        with owned(self.root, "LABELSTREAM_SCRATCH_DIR"):
            shutil.rmtree(self._going, ignore_errors=True)
            yield

    def dataset(self, dataset_id: str) -> Path:
        """Return where a dataset is laid out."""
        return self.root / "datasets" / dataset_id

    def job(self, job: str) -> Path:
        """Return the folder of a job's engine."""
        return self.root / "jobs" / job

    def use(self, *folders: Path) -> None:
        """Make the folders the ones that were used last."""
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            os.utime(folder)

    def tidy(self, in_use: Collection[Path]) -> list[Path]:
        """Remove what is more than a worker keeps, the longest unused first; return what went."""
        gone = [
            *_beyond(self.keep_datasets, _by_age(self.root / "datasets"), in_use),
            *_beyond(KEEP_JOBS, _by_age(self.root / "jobs"), in_use),
        ]
        for folder in gone:
            self.remove(folder)
        return gone

    def expendable(self, in_use: Collection[Path]) -> list[Path]:
        """Return what may go when the disk is full, in the order in which it is missed least."""
        found = [*_by_age(self.root / "datasets"), *_by_age(self.root / "jobs")]
        return [folder for folder in found if folder not in in_use]

    def remove(self, folder: Path) -> None:
        """Remove a folder, of which nobody ever sees a half."""
        going = self._going / uuid.uuid4().hex
        try:
            self._going.mkdir(parents=True, exist_ok=True)
            folder.rename(going)
        except FileNotFoundError:
            return
        shutil.rmtree(going, ignore_errors=True)  # what can't be removed now is tried again at the next start

    @property
    def _going(self) -> Path:
        return self.root / "going"


def _by_age(folder: Path) -> list[Path]:
    """Return the folders in `folder`, the longest unused first."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime_ns)


def _beyond(count: int, by_age: list[Path], in_use: Collection[Path]) -> list[Path]:
    """Return the folders that must go so that `count` stay."""
    others = [folder for folder in by_age if folder not in in_use]
    return others[: max(0, len(by_age) - count)]
