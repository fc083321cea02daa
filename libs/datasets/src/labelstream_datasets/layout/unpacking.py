"""One archive onto disk, piece by piece as it comes from the store."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from labelstream.blobs.checked import HINT
from labelstream.errors import Rejected
from labelstream.values import FileRef, sha256_hex
from labelstream_datasets.archives.forwarding import Erased
from labelstream_datasets.archives.tar_stream import TarStream
from labelstream_datasets.layout.disk import write_file
from labelstream_datasets.manifest import Row
from labelstream_datasets.options import LabelRules


@dataclass(frozen=True)
class Place:
    """Where a sample's files lie below the dataset's folder; they are called as in the archive."""

    row: Row
    image: str
    labels: str


def places(rows: Sequence[Row], twice: Collection[str]) -> list[Place]:
    """Return where the samples of an archive lie (see `place`). Raises Rejected, also when it has a name twice."""
    found = [place(row, twice) for row in rows]
    if len({row.path for row in rows}) < len(rows):
        path = next(row.path for row in rows if sum(row.path == other.path for other in rows) > 1)
        raise Rejected("dataset.names_collide", f"{rows[0].archive} holds two images as {path}", "Delete one of them.")
    return found


def place(row: Row, twice: Collection[str]) -> Place:
    """Return where a sample lies; with its image's whole digest in front when its stem is in `twice`.

    Raises Rejected when its name can't be a file's.
    """
    member = PurePosixPath(row.path)
    if member.name in ("", "..") or "\\" in row.path or "\0" in row.path:
        raise Rejected("dataset.name_unsafe", f"{row.path!r} can't be the name of a file", "Build a new dataset.")
    before = f"{row.image}_" if stem(row.path) in twice else ""
    return Place(
        row, f"{row.split}/images/{before}{member.name}", f"{row.split}/labels/{before}{stem(member.name)}.txt"
    )


def stem(path: str) -> str:
    """Return a member's name without its suffix, which its labels share."""
    return path.rpartition(".")[0] or path


@dataclass
class Unpacking:
    """Writes the samples that are wanted of an archive while its pieces come; not trusted before `finish`."""

    root: str
    places: Sequence[Place]
    rules: LabelRules
    archive: FileRef  # where the pieces come from
    rewritten: bool  # without what was erased
    labels: dict[str, bytes] = field(default_factory=dict)  # as written, by place
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    _tar: TarStream = field(default_factory=TarStream)
    _wrong: str | None = None

    def __post_init__(self) -> None:
        self._images: dict[str, Place] = {place.row.path: place for place in self.places}
        self._labels: dict[str, Place] = {f"{stem(place.row.path)}.txt": place for place in self.places}

    def take(self, piece: bytes) -> None:
        """Write what a piece completes."""
        self._digest.update(piece)
        if self._wrong is None:
            try:
                for name, content in self._tar.feed(piece):
                    self._write(name, content)
            except (ValueError, IndexError) as error:  # IndexError: a class that the project does not have
                self._wrong = str(error)

    def finish(self) -> str:
        """Check the archive, and that everything is there; return the digest of the labels as written.

        Raises Rejected.
        """
        found = self._digest.hexdigest()
        if found != self.archive.sha256:
            reason = f"{self.archive.key} has the digest {found}, not {self.archive.sha256}"
            raise Rejected("object.changed", reason, HINT)
        lacking = {name: place.row for names in (self._images, self._labels) for name, place in names.items()}
        if lacking and self.rewritten and self._wrong is None:
            raise Erased(f"{min(lacking)} was erased since the dataset was built", list(lacking.values()))
        if lacking or self._wrong is not None:
            what = f"can't be read: {self._wrong}" if self._wrong is not None else f"lacks {min(lacking)}"
            raise Rejected("dataset.archive_incomplete", f"{self.archive.key} {what}", "Build a new dataset.")
        return labels_digest(self.labels)

    def _write(self, name: str, content: memoryview) -> None:
        if place := self._images.pop(name, None):
            if self.rewritten and sha256_hex(bytes(content)) != place.row.sha256:
                raise ValueError(f"{name} is another image than it was")
            write_file(f"{self.root}/{place.image}", content)
        elif place := self._labels.pop(name, None):
            text: bytes | memoryview = content
            if not self.rules.changes_nothing:
                text = self.rules.apply_lines(bytes(content).decode()).encode()
            self.labels[place.labels] = bytes(text)
            write_file(f"{self.root}/{place.labels}", text)


def labels_digest(labels: Mapping[str, bytes]) -> str:
    """Return the digest of label files, by place."""
    digest = hashlib.sha256()
    for place, content in sorted(labels.items()):
        digest.update(f"{place} {len(content)}\n".encode() + content)
    return digest.hexdigest()
