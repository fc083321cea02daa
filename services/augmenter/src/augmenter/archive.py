"""A batch's archive: one tar whose bytes depend on its content alone, and which can say what is in it.

<image digest[:16]>-<labels digest[:8]>_<variant>.jpg    each image; the original keeps its extension
<image digest[:16]>-<labels digest[:8]>_<variant>.txt    its labels beside it, as YOLO lines
contents.json                                            last: what is in it, and what was left out
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import PurePosixPath

from augmenter.domain import Sample
from labelstream.events.batch import Variant
from labelstream.labels import Shape, yolo_lines
from labelstream.values import Sha256, Value, sha256_hex

CONTENTS = "contents.json"


class Made(Value):
    """The variants of one sample's content."""

    image: Sha256
    labels: Sha256
    variants: tuple[Variant, ...]


class Missing(Value):
    """A sample's content that could not be augmented."""

    image: Sha256
    labels: Sha256
    reason: str


class Contents(Value):
    """What an archive says of itself; names and offsets are not its business."""

    recipe: Sha256
    made: tuple[Made, ...] = ()
    missing: tuple[Missing, ...] = ()


class ArchiveWriter:
    """Collects rendered samples, in the order in which they are added."""

    def __init__(self, recipe: str) -> None:
        self._recipe = recipe
        self._buffer = io.BytesIO()
        self._tar = tarfile.TarFile(fileobj=self._buffer, mode="w", format=tarfile.USTAR_FORMAT)
        self._made: list[Made] = []
        self._missing: list[Missing] = []

    def add(self, sample: Sample, variants: Sequence[tuple[bytes, tuple[Shape, ...]]]) -> None:
        """Add a sample's images and labels; the first is the original."""
        written: list[Variant] = []
        for number, (image, shapes) in enumerate(variants):
            suffix = ".jpg" if number else PurePosixPath(sample.image.key).suffix
            path = f"{sample.stem}_{number}{suffix}"
            self._put(path, image)
            self._put(f"{sample.stem}_{number}.txt", yolo_lines(shapes).encode())
            written.append(Variant(variant=number, image_path=path, sha256=sha256_hex(image), boxes=len(shapes)))
        self._made.append(Made(image=sample.image.sha256, labels=sample.labels, variants=tuple(written)))

    def leave_out(self, sample: Sample, reason: str) -> None:
        """Note that a sample could not be augmented."""
        self._missing.append(Missing(image=sample.image.sha256, labels=sample.labels, reason=reason))

    def finish(self) -> tuple[Contents, bytes | None]:
        """Return what the archive says of itself and its bytes; None when it holds no image."""
        contents = Contents(recipe=self._recipe, made=tuple(self._made), missing=tuple(self._missing))
        self._put(CONTENTS, contents.model_dump_json().encode())
        self._tar.close()
        return contents, self._buffer.getvalue() if self._made else None

    def _put(self, name: str, data: bytes) -> None:
        entry = tarfile.TarInfo(name)  # time, owner and group stay 0
        entry.size = len(data)
        self._tar.addfile(entry, io.BytesIO(data))


def contents_of(archive: bytes) -> Contents:
    """Read what a stored archive says of itself."""
    with tarfile.open(mode="r:", fileobj=io.BytesIO(archive)) as tar:
        found = tar.extractfile(CONTENTS)
        if found is None:
            raise ValueError(f"{CONTENTS} is not a file in the archive")
        return Contents.model_validate_json(found.read())
