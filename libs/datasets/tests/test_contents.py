"""An archive's bytes are those of a plain USTAR tar, and its reference tells what they are."""

from __future__ import annotations

import io
import tarfile

import pytest

from labelstream.events.annotation import ImageRef
from labelstream.labels import Box
from labelstream.values import FileRef, sha256_hex
from labelstream_datasets.archives.contents import ArchiveWriter, contents_of, without
from labelstream_datasets.archives.erased import Erasure

SHAPES = (Box.from_corners(1, 0.1, 0.2, 0.3, 0.4),)


def image(encoded: bytes) -> ImageRef:
    digest = sha256_hex(encoded)
    return ImageRef(
        key=f"p/images/{digest}.png", sha256=digest, size_bytes=len(encoded), format="png", width=8, height=8
    )


def written(*originals: bytes, digests: bool = False) -> ArchiveWriter:
    writer = ArchiveWriter("a" * 64)
    for one in originals:
        variants = [(one, SHAPES), (one[::-1], ())]
        known = [sha256_hex(encoded) for encoded, _ in variants] if digests else ()
        writer.add(image(one), "b" * 64, variants, None, known)
    return writer


def plainly(archive: bytes) -> bytes:
    """Write the same files with `tarfile` alone."""
    buffer = io.BytesIO()
    with (
        tarfile.open(mode="r:", fileobj=io.BytesIO(archive)) as old,
        tarfile.TarFile(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as new,
    ):
        for entry in old:
            plain = tarfile.TarInfo(entry.name)
            plain.size = entry.size
            new.addfile(plain, old.extractfile(entry))
    return buffer.getvalue()


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 9728, 10_240], ids=str)
def test_an_archive_is_the_tar_that_tarfile_writes(size: int) -> None:
    writer = written(bytes(size), b"other")
    _, archive = writer.finish()
    assert archive is not None
    assert archive == plainly(archive)
    assert writer.stored_as("k") == FileRef.of("k", archive)


def test_digests_that_are_known_give_the_same_archive_as_those_that_are_taken() -> None:
    assert written(b"one", b"two", digests=True).finish() == written(b"one", b"two").finish()


def test_what_is_left_without_an_image_is_a_plain_tar_too() -> None:
    _, archive = written(b"one", b"two").finish()
    assert archive is not None
    left = without(archive, Erasure(frozenset([sha256_hex(b"one")])))
    assert left is not None
    assert left == plainly(left)
    assert [made.image for made in contents_of(left).made] == [sha256_hex(b"two")]
