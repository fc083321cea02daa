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
from labelstream.values import SPLITS, Split, sha256_hex
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

    def begin(self, *, replace: bool) -> dict[str, str]:
        """Make the folder ready; return which archives are in it already, with the digests of their labels.

        What was laid out here of another dataset goes when it may be replaced. Raises Misconfigured when it may not,
        and when the folder holds anything else.
        """
        noted = self._noted()
        if noted is None:
            self._require_room(replace=replace)
            self._clear()
            self.directory.mkdir(parents=True, exist_ok=True)
        if not noted:
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

    def others(self, files: Collection[str]) -> list[str]:
        """Return what lies beside these image and label files."""
        found: list[str] = []
        for split in self.splits:
            for kind in KINDS:
                with os.scandir(self.directory / split / kind) as entries:
                    found += [f"{split}/{kind}/{entry.name}" for entry in entries]
        return sorted(set(found) - set(files))

    def remove(self, files: Collection[str]) -> None:
        """Remove what lies among images and labels."""
        for file in files:
            path = self.directory / file
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

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
        if not lines and self._mark.startswith(first):
            return {}  # it was being written: nothing was laid out yet
        whole = (line.rpartition(" ") for line in lines[:-1])  # the last one was being written, or is empty
        return {archive: labels for archive, _, labels in whole} if first == self._mark else None

    def _require_room(self, *, replace: bool) -> None:
        """Raise Misconfigured when something lies here that must stay."""
        if not self.directory.exists() or not any(self.directory.iterdir()):
            return
        marks = [mark for name in (FINISHED, UNFINISHED) if (mark := first_line(self.directory / name)) is not None]
        if not marks:
            raise Misconfigured(f"{self.directory} holds something that is no dataset of ours: name an empty directory")
        if not replace:
            raise Misconfigured(
                f"{self.directory} holds {_said(marks[0])}: name another directory, or replace that (`--replace`)"
            )

    def _clear(self) -> None:
        for split in SPLITS:
            for kind in KINDS:
                shutil.rmtree(self.directory / split / kind, ignore_errors=True)
            if (self.directory / split).is_dir() and not any((self.directory / split).iterdir()):
                (self.directory / split).rmdir()
        for name in (DATA, MEDIA, UNFINISHED, FINISHED):  # marks last: without them it is a stranger's
            (self.directory / name).unlink(missing_ok=True)


def _said(mark: str) -> str:
    dataset, *splits = mark.split(" ")
    return f"the dataset {dataset[:12]} ({', '.join(splits)})" if splits else "another dataset"
