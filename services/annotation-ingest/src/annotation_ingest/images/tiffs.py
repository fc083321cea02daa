"""Which TIFF files show the same picture to everybody who reads them after us.

TIFF is a family of formats, and readers differ in what they make of its rarer members: this is what
OpenCV renders as it was meant, measured form by form (`tests/images`).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from PIL import Image, TiffImagePlugin

TiffImagePlugin.READ_LIBTIFF = True  # OpenCV reads with it too: a file that it can't read is not taken

REDUCED = 1  # NewSubfileType: the page is a smaller version of another
_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 254, 256, 257, 258, 259, 262, 266
_SAMPLES, _PLANAR, _TILE_WIDTH, _TILE_HEIGHT, _INK_SET, _SAMPLE_FORMAT = 277, 284, 322, 323, 332, 339
_UNSIGNED = 1
_MAX_PAGES = 64  # that are looked at; a file with more is no picture with smaller versions
_TILE_STEP = 1024  # pixels: libtiff reads tiles in such pieces, and OpenCV refuses others

GREY, RGB, PALETTE, CMYK, YCBCR = {0, 1}, 2, 3, 5, 6
_COMPRESSIONS = {1, 2, 3, 4, 5, 7, 8, 32773, 32946}  # none, CCITT, LZW, JPEG, deflate, PackBits


@dataclass(frozen=True)
class Tiff:
    """What a TIFF file's first page says of itself."""

    width: int  # as stored, before the orientation
    height: int
    photometric: int
    bits: tuple[int, ...]
    samples: int
    planar: int
    compression: int
    sample_format: set[int]
    fill_order: int
    ink_set: int
    tile: tuple[int, int] | None

    @property
    def may_hide(self) -> bool:
        """Say whether readers multiply its colours with a fourth channel."""
        return self.photometric == RGB and self.samples == 4

    def strange(self) -> str | None:
        """Say what about the file is read differently by different readers; None when nothing is."""
        if self.sample_format != {_UNSIGNED} or max(self.bits) > 16:
            return f"has {'signed' if 2 in self.sample_format else 'floating-point or 32-bit'} values"
        if self.compression not in _COMPRESSIONS:
            return f"has the compression {self.compression}"
        if len(set(self.bits)) != 1 or (self.bits[0], self.samples) not in self._known():
            return f"has {self.samples} channels of {self.bits[0]} bits in the colour space {self.photometric}"
        if self.may_hide and self.planar != 1:
            return "keeps transparency in a plane of its own"
        if self.fill_order != 1 or self.ink_set != 1:
            return "has an order of bits or a set of inks that is not usual"
        if self.tile is not None and self.tile[0] * self.tile[1] % _TILE_STEP:
            return f"has tiles of {self.tile[0]} x {self.tile[1]} pixels"
        return None

    def _known(self) -> set[tuple[int, int]]:
        """Return the (bits, channels) that are read alike in this colour space."""
        if self.photometric in GREY:
            return {(1, 1), (8, 1), (16, 1), (8, 2)}
        return {
            RGB: {(8, 3), (8, 4), (16, 3), (16, 4)},
            PALETTE: {(4, 1), (8, 1)},
            CMYK: {(8, 4)},
            YCBCR: {(8, 3)},
        }.get(self.photometric, set())


def describe(tags: Any) -> Tiff:
    """Read the tags of a page, as Pillow has them. Raises what it raises on nonsense."""
    tile = (int(tags[_TILE_WIDTH]), int(tags[_TILE_HEIGHT])) if _TILE_WIDTH in tags else None
    return Tiff(
        width=int(tags[_WIDTH]),
        height=int(tags[_HEIGHT]),
        photometric=int(tags[_PHOTOMETRIC]),
        bits=tuple(int(bits) for bits in tags.get(_BITS, (1,))),
        samples=int(tags.get(_SAMPLES, 1)),
        planar=int(tags.get(_PLANAR, 1)),
        compression=int(tags.get(_COMPRESSION, 1)),
        sample_format={int(one) for one in tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))},
        fill_order=int(tags.get(_FILL_ORDER, 1)),
        ink_set=int(tags.get(_INK_SET, 1)),
        tile=tile,
    )


def has_pages(data: bytes) -> bool:
    """Say whether a TIFF file holds a second picture; smaller versions of the first do not count."""
    with Image.open(io.BytesIO(data), formats=["TIFF"]) as image:
        for page in range(1, _MAX_PAGES):
            try:
                image.seek(page)
            except EOFError:
                return False
            if not int(getattr(image, "tag_v2", {}).get(_SUBFILE, 0)) & REDUCED:
                return True
    return True
