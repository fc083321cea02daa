"""A batch's archive: one tar whose bytes depend on its content alone, and which can say what is in it.

<image digest[:16]>-<labels digest[:8]>_<variant>.jpg    each image; the original keeps its extension
<image digest[:16]>-<labels digest[:8]>_<variant>.txt    its labels beside it, as YOLO lines
contents.json                                            last: what is in it, and what was left out
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Sequence
from pathlib import PurePosixPath

from labelstream.events.annotation import ImageRef
from labelstream.events.batch import Variant
from labelstream.labels import Shape, yolo_lines
from labelstream.values import FileRef, Sha256, Value, sha256_hex
from labelstream_datasets.archives.erased import Erasure
from labelstream_datasets.archives.names import stem_of

CONTENTS = "contents.json"


class Made(Value):
    """The variants of one image with its labels."""

    image: Sha256
    labels: Sha256
    variants: tuple[Variant, ...]
    phash: str | None = None


class Missing(Value):
    """An image with its labels that could not be augmented."""

    image: Sha256
    labels: Sha256
    reason: str


class Contents(Value):
    """What an archive says of itself; names and offsets are not its business."""

    recipe: Sha256
    made: tuple[Made, ...] = ()
    missing: tuple[Missing, ...] = ()


class _Tar:
    """The bytes of a tar that `tarfile` would write in the format USTAR, and their digest, which grows with them."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._digest = hashlib.sha256()

    def put(self, name: str, data: bytes) -> None:
        """Add a file."""
        entry = tarfile.TarInfo(name)  # time, owner and group stay 0
        entry.size = len(data)
        self._write(entry.tobuf(tarfile.USTAR_FORMAT))
        self._write(data)
        self._write(bytes(-len(data) % tarfile.BLOCKSIZE))

    def end(self) -> bytes:
        """Close it; return all of it."""
        self._write(bytes(2 * tarfile.BLOCKSIZE))
        self._write(bytes(-self._buffer.tell() % tarfile.RECORDSIZE))
        return self._buffer.getvalue()

    def stored_as(self, key: str) -> FileRef:
        """Describe what was written so far as stored under `key`."""
        return FileRef(key=key, sha256=self._digest.hexdigest(), size_bytes=self._buffer.tell())

    def _write(self, data: bytes) -> None:
        self._buffer.write(data)
        self._digest.update(data)


class ArchiveWriter:
    """Collects images with their labels, in the order in which they are added."""

    def __init__(self, recipe: str) -> None:
        self._recipe = recipe
        self._tar = _Tar()
        self._made: list[Made] = []
        self._missing: list[Missing] = []

    def add(
        self,
        image: ImageRef,
        labels: str,
        variants: Sequence[tuple[bytes, tuple[Shape, ...]]],
        phash: str | None,
        digests: Sequence[str] = (),
    ) -> None:
        """Add (encoded image, shapes) of an original and of its variants; `labels` is the digest of the original's.

        `digests` are those of the encoded images where the caller knows them already, in the same order.
        """
        written: list[Variant] = []
        stem = stem_of(image.sha256, labels)
        known = digests or [sha256_hex(encoded) for encoded, _ in variants]
        for number, ((encoded, shapes), digest) in enumerate(zip(variants, known, strict=True)):
            suffix = ".jpg" if number else PurePosixPath(image.key).suffix
            path = f"{stem}_{number}{suffix}"
            self._tar.put(path, encoded)
            self._tar.put(f"{stem}_{number}.txt", yolo_lines(shapes).encode())
            written.append(Variant(variant=number, image_path=path, sha256=digest, boxes=len(shapes)))
        self._made.append(Made(image=image.sha256, labels=labels, variants=tuple(written), phash=phash))

    def leave_out(self, image: str, labels: str, reason: str) -> None:
        """Note that an image with its labels (their digests) could not be augmented."""
        self._missing.append(Missing(image=image, labels=labels, reason=reason))

    def finish(self) -> tuple[Contents, bytes | None]:
        """Return what the archive says of itself and its bytes; None when it holds no image."""
        contents = Contents(recipe=self._recipe, made=tuple(self._made), missing=tuple(self._missing))
        self._tar.put(CONTENTS, contents.model_dump_json().encode())
        archive = self._tar.end()
        return contents, archive if self._made else None

    def stored_as(self, key: str) -> FileRef:
        """Describe the finished archive as stored under `key`, without reading it again."""
        return self._tar.stored_as(key)


def contents_of(archive: bytes) -> Contents:
    """Read what a stored archive says of itself. Raises ValueError when it is no archive of ours."""
    try:
        with tarfile.open(mode="r:", fileobj=io.BytesIO(archive)) as tar:
            return Contents.model_validate_json(_get(tar, CONTENTS))
    except tarfile.TarError as error:
        raise ValueError(f"not an archive of variants: {error}") from error


def holds(archive: bytes, erasure: Erasure) -> bool:
    """Say whether an archive holds something that an erasure takes. Raises ValueError when it is no archive of ours."""
    return any(erasure.takes(made.image, made.labels) for made in contents_of(archive).made)


def without(archive: bytes, erasure: Erasure) -> bytes | None:
    """Return the archive without what an erasure takes, every other byte as it was; None when nothing is left.

    Raises ValueError when it is no archive of ours.
    """
    before = contents_of(archive)
    made = tuple(one for one in before.made if not erasure.takes(one.image, one.labels))
    if not made:
        return None
    missing = tuple(one for one in before.missing if not erasure.takes(one.image, one.labels))
    paths = [variant.image_path for one in made for variant in one.variants]
    new = _Tar()
    with tarfile.open(mode="r:", fileobj=io.BytesIO(archive)) as old:
        for path in paths:
            labels = str(PurePosixPath(path).with_suffix(".txt"))
            new.put(path, _get(old, path))
            new.put(labels, _get(old, labels))
    after = Contents(recipe=before.recipe, made=made, missing=missing)
    new.put(CONTENTS, after.model_dump_json().encode())
    return new.end()


def _get(tar: tarfile.TarFile, name: str) -> bytes:
    try:
        found = tar.extractfile(name)
    except KeyError as error:
        raise ValueError(f"the archive lacks {name}") from error
    if found is None:
        raise ValueError(f"{name} is not a file in the archive")
    return found.read()
