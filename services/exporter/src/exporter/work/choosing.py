"""Which images of a dataset a format is proved and calibrated on: those with the lowest digests, so always the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from labelstream_datasets.manifest import Manifest, Row

MOST_ARCHIVE_BYTES = 4 << 30  # an archive holds the variants of its images as well, and has to be read whole


def proof_rows(manifest: Manifest, count: int, most_bytes: int = MOST_ARCHIVE_BYTES) -> list[Row]:
    """Choose test images with labels, by digest. Archives that add up to more than `most_bytes` are left alone."""
    opened: dict[str, int] = {}  # archive → its size
    chosen: list[Row] = []
    for row in _originals(manifest.only(["test"]).rows()):
        is_small = sum(opened.values()) + row.archive_bytes <= most_bytes
        if row.archive in opened or is_small or not opened:
            opened[row.archive] = row.archive_bytes
            chosen.append(row)
        if len(chosen) == count:
            break
    return chosen


def calibration_rows(manifest: Manifest) -> Iterator[Row]:
    """Yield the training images, by digest."""
    yield from _originals(manifest.only(["train"]).rows())


def _originals(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield each image once; a manifest has them in the order of their digests."""
    last = ""
    for row in rows:
        if row.variant == 0 and row.image != last:
            yield row
            last = row.image
