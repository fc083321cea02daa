"""A dataset's folder while it is laid out: which archives are in it already, so that an interrupted one goes on.

DIR/.unfinished    the dataset and its splits, then a line an archive: its key and the digest of the labels written
DIR/.finished      the same file, once everything is there
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from labelstream.errors import Misconfigured
from labelstream.values import Split, sha256_hex
from labelstream_datasets.layout.unpacking import Place, labels_digest

FINISHED, UNFINISHED = ".finished", ".unfinished"
DATA, MEDIA = "data.yaml", "media.csv"
KINDS = ("images", "labels")


def first_line(mark: Path) -> str | None:
    """Return the dataset and the splits that FINISHED or UNFINISHED tells of; None when it is not there."""
    if not mark.is_file():
        return None
    with mark.open() as file:
        return file.readline().removesuffix("\n")


@dataclass(frozen=True)
class LayingOut:
    """A folder, and what it is to become."""

    directory: Path
    dataset: str  # its id
    splits: Sequence[Split]

    @property
    def is_finished(self) -> bool:
        """Whether everything is there."""
        return first_line(self.directory / FINISHED) == self._mark

    def begin(self) -> dict[str, str]:
        """Make the folder ready; return which archives are in it already, with the digests of their labels.

        What was laid out here of another dataset goes. Raises Misconfigured when the folder holds anything else.
        """
        noted = self._noted()
        if noted is None:
            self._clear()
            self.directory.mkdir(parents=True, exist_ok=True)
            (self.directory / UNFINISHED).write_text(f"{self._mark}\n")
        for split in self.splits:
            for kind in KINDS:
                (self.directory / split / kind).mkdir(parents=True, exist_ok=True)
        return noted or {}

    def note(self, archive: str, labels: str) -> None:
        """Note that an archive is laid out."""
        with (self.directory / UNFINISHED).open("a") as file:
            file.write(f"{archive} {labels}\n")

    def holds(self, places: Iterable[Place], labels: str) -> bool:
        """Say whether the files of an archive are still what they were when it was noted."""
        written: dict[str, bytes] = {}
        try:
            for place in places:
                if sha256_hex((self.directory / place.image).read_bytes()) != place.row.sha256:
                    return False
                written[place.labels] = (self.directory / place.labels).read_bytes()
        except FileNotFoundError:
            return False
        return labels_digest(written) == labels

    def keep_only(self, files: Collection[str]) -> None:
        """Remove every image and label file but these: archives that were not whole left them."""
        for split in self.splits:
            for kind in KINDS:
                with os.scandir(self.directory / split / kind) as found:
                    strays = [entry.path for entry in found if f"{split}/{kind}/{entry.name}" not in files]
                for stray in strays:
                    Path(stray).unlink()

    def finish(self) -> None:
        """Say that everything is there."""
        (self.directory / UNFINISHED).replace(self.directory / FINISHED)

    @property
    def _mark(self) -> str:
        return f"{self.dataset} {' '.join(self.splits)}"

    def _noted(self) -> dict[str, str] | None:
        try:
            first, *lines = (self.directory / UNFINISHED).read_text().split("\n")
        except FileNotFoundError:
            return None
        whole = (line.rpartition(" ") for line in lines[:-1])  # the last one was being written, or is empty
        return {archive: labels for archive, _, labels in whole} if first == self._mark else None

    def _clear(self) -> None:
        if not self.directory.exists():
            return
        ours = any((self.directory / name).is_file() for name in (FINISHED, UNFINISHED))
        if not ours and any(self.directory.iterdir()):
            raise Misconfigured(f"{self.directory} holds something that is no dataset of ours: name an empty directory")
        for split in ("train", "val", "test"):
            for kind in KINDS:
                shutil.rmtree(self.directory / split / kind, ignore_errors=True)
            if (self.directory / split).is_dir() and not any((self.directory / split).iterdir()):
                (self.directory / split).rmdir()
        for name in (DATA, MEDIA, UNFINISHED, FINISHED):  # marks last: without them it is a stranger's
            (self.directory / name).unlink(missing_ok=True)
