"""Images of a dataset that look alike, by their perceptual hashes: across splits they leak.

How many of 64 bits separate near duplicates from different images was measured on 364 photographs of
blood cells (BCCD) and on 254 frames of 100 drawn clips. The same image as JPEG of quality 30, halved, or
10 % brighter: at most 4 bits. A quarter of the size, 20 % brighter, or without 2 % at each side: at most
10, at most 6 for 90 % and more. Frames of one clip: 0 to 22. Different images: 14 and more, in the 98,000
pairs of both sets, but for two photographs of one field of cells, at 4. Among 125,000 images (8 thousand
million pairs) hashes drawn by chance would give 0.1 pairs within 6 bits, 6 within 8 and 170 within 10.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from labelstream.values import SPLITS, Sha256, Split, Value
from labelstream_datasets.checking import hamming
from labelstream_datasets.manifest import Manifest

MOST_BITS = 6  # see above
MOST_LISTED = 200
CROWD = 10  # images with one hash that are called a crowd: flat images, or a camera that sees nothing move

Ints = npt.NDArray[np.int64]


class Likeness(Value):
    """An image that looks like another one."""

    image: Sha256
    name: str
    medium: str
    split: Split


class NearPair(Value):
    """Two images of different splits that look alike."""

    bits: int = Field(description="in which their hashes differ")
    pairs: int = Field(description="pairs of images that have these hashes in these splits; this one stands for them")
    first: Likeness
    second: Likeness


class Crowd(Value):
    """Many images with one and the same hash."""

    phash: str
    images: dict[Split, int]
    example: Likeness


class Duplicates(Value):
    """What looks alike in a dataset."""

    most_bits: int = Field(description="of 64, in which the hashes of images that look alike differ")
    images: int = Field(0, description="originals that were compared")
    without_hash: int = Field(0, description="originals whose archive is older than the hashes")
    across: int = Field(0, description="pairs in different splits")
    within: int = Field(0, description="pairs in one split")
    touched: dict[Split, int] = Field(default_factory=dict, description="images that look like one of another split")
    pairs: tuple[NearPair, ...] = Field((), description="across splits, the nearest first; not all when there are many")
    crowds: tuple[Crowd, ...] = Field((), description="the largest first; not all when there are many")


def near_duplicates(manifest: Manifest, most_bits: int = MOST_BITS, most_listed: int = MOST_LISTED) -> Duplicates:
    """Find the originals whose hashes differ in at most `most_bits` bits.

    Images with the same hash are handled as one, so memory grows with the images, not with the pairs.
    """
    hashes, images, without = _hashed(manifest)
    looks = _Looks.of(hashes, _numbers(images["split"]))
    tally = _Tally(looks, most_listed)
    tally.add_equal()
    for first, second, bits in hamming.near(looks.hashes, most_bits):
        tally.add(first, second, bits)
    listed, crowds = _Listing(looks, images), looks.crowds()[:most_listed]
    return Duplicates(
        most_bits=most_bits,
        images=len(hashes),
        without_hash=without,
        across=tally.across,
        within=tally.within,
        touched=tally.touched(),
        pairs=tuple(listed.pair(*found) for found in tally.nearest()),
        crowds=tuple(listed.crowd(int(look)) for look in crowds),
    )


def _hashed(manifest: Manifest) -> tuple[npt.NDArray[np.uint64], pa.Table, int]:
    """Return the hashes of the originals, their rows, and how many originals have none."""
    originals = manifest.table.filter(pc.equal(manifest.table["variant"], 0))
    if "phash" not in originals.column_names:
        return np.empty(0, np.uint64), originals.slice(0, 0), originals.num_rows
    table = originals.filter(pc.is_valid(originals["phash"]))
    texts = table["phash"].cast(pa.string()).to_pylist()
    return np.array([int(text, 16) for text in texts], np.uint64), table, originals.num_rows - table.num_rows


def _numbers(splits: pa.ChunkedArray) -> Ints:
    return np.array([SPLITS.index(split) for split in splits.cast(pa.string()).to_pylist()], np.int64)


@dataclass(frozen=True)
class _Looks:
    """The distinct hashes, and how many images of each split have each."""

    hashes: npt.NDArray[np.uint64]  # (n,) sorted
    counts: Ints  # (n, splits)
    firsts: Ints  # (n, splits): the first image of each look and split; -1 for none

    @classmethod
    def of(cls, hashes: npt.NDArray[np.uint64], splits: Ints) -> _Looks:
        distinct, look = np.unique(hashes, return_inverse=True)
        counts = np.zeros((len(distinct), len(SPLITS)), np.int64)
        np.add.at(counts, (look, splits), 1)
        firsts = np.full_like(counts, -1)
        firsts[look[::-1], splits[::-1]] = np.arange(len(hashes))[::-1]  # the last write stands
        return cls(distinct, counts, firsts)

    def crowds(self) -> Ints:
        """Return the looks of many images, the most first."""
        images = self.counts.sum(axis=1)
        order: Ints = np.argsort(-images, kind="stable")
        largest: Ints = order[images[order] >= CROWD]
        return largest


_Found = tuple[int, int, int, int, int]  # bits, look and split of one image, look and split of the other


@dataclass
class _Tally:
    looks: _Looks
    most_listed: int
    across: int = 0
    within: int = 0
    _near: Ints = field(init=False)  # for each look, the splits of what looks like it, as bits
    _found: list[_Found] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._near = np.zeros(len(self.looks.hashes), np.int64)
        self._splits = (self.looks.counts > 0) @ (1 << np.arange(len(SPLITS)))  # as bits

    def add_equal(self) -> None:
        """Count the images that share a hash."""
        counts = self.looks.counts
        same = int((counts * (counts - 1)).sum()) // 2
        pairs = counts.sum(axis=1)
        self.within += same
        self.across += int((pairs * (pairs - 1)).sum()) // 2 - same
        self._near |= self._splits
        shared = np.flatnonzero((counts > 0).sum(axis=1) > 1)
        self._note(shared, shared, np.zeros(len(shared), np.int64))

    def add(self, first: Ints, second: Ints, bits: Ints) -> None:
        """Count pairs of different looks."""
        here, there = self.looks.counts[first], self.looks.counts[second]
        same = int((here * there).sum())
        self.within += same
        self.across += int((here.sum(axis=1) * there.sum(axis=1)).sum()) - same
        np.bitwise_or.at(self._near, first, self._splits[second])
        np.bitwise_or.at(self._near, second, self._splits[first])
        self._note(first, second, bits)

    def touched(self) -> dict[Split, int]:
        """Return how many images of each split look like one of another split."""
        counts = self.looks.counts
        return {
            split: int(counts[(self._near & ~(1 << number)) != 0, number].sum()) for number, split in enumerate(SPLITS)
        }

    def nearest(self) -> list[_Found]:
        """Return the pairs to list: the nearest, and of equally near ones those with test images, first."""
        self._found = sorted(self._found, key=lambda one: (one[0], -max(one[2], one[4]), one))[: self.most_listed]
        return self._found

    def _note(self, first: Ints, second: Ints, bits: Ints) -> None:
        have = self.looks.counts > 0
        for one in range(len(SPLITS)):
            for other in range(len(SPLITS)):
                rows = np.flatnonzero(have[first, one] & have[second, other]) if one != other else np.empty(0, np.int64)
                rows = rows[np.argsort(bits[rows], kind="stable")][: self.most_listed]
                both = ((int(first[row]), int(second[row]), int(bits[row])) for row in rows)
                self._found += [(far, a, one, b, other) for a, b, far in both if a != b or one < other]
        if len(self._found) > 64 * self.most_listed:
            self.nearest()


@dataclass(frozen=True)
class _Listing:
    looks: _Looks
    images: pa.Table

    def pair(self, bits: int, first: int, one: int, second: int, other: int) -> NearPair:
        pairs = int(self.looks.counts[first, one] * self.looks.counts[second, other])
        return NearPair(bits=bits, pairs=pairs, first=self._likeness(first, one), second=self._likeness(second, other))

    def crowd(self, look: int) -> Crowd:
        counts = {split: int(count) for split, count in zip(SPLITS, self.looks.counts[look], strict=True) if count}
        split = SPLITS.index(next(iter(counts)))
        return Crowd(phash=f"{int(self.looks.hashes[look]):016x}", images=counts, example=self._likeness(look, split))

    def _likeness(self, look: int, split: int) -> Likeness:
        row = int(self.looks.firsts[look, split])
        image, name, medium = (self.images[column][row].as_py() for column in ("image", "name", "medium"))
        return Likeness(image=image, name=name, medium=medium, split=SPLITS[split])
