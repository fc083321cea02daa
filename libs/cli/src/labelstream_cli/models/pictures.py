"""Test images with what two models find in them, for the page that compares them; read on the operator's machine."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

from PIL import Image, ImageFont, ImageOps

from labelstream import keys
from labelstream.blobs.ports import BlobNotFound, Blobs, BlobTooLarge
from labelstream_cli.models.comparison import Pair
from labelstream_cli.models.evaluation import Found, ImageResult
from labelstream_datasets.archives.names import digits_in
from labelstream_datasets.pictures import Line, Marked, draw

SIDE = 460  # pixels, of the longer side
_QUALITY, _FONT, _NAMED = 80, 12, 6
_MOST_BYTES = 64 << 20
_MARGIN = 6  # pixels that a name is framed with
_Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class Shot:
    """One test image, as both models see it."""

    image: str
    a: bytes  # JPEG
    b: bytes
    a_said: str
    b_said: str


@dataclass(frozen=True)
class Shots:
    """What can be shown, and what can't and why."""

    shots: tuple[Shot, ...]
    left_out: tuple[str, ...]


async def shots_of(data: Blobs, project: str, pairs: Sequence[Pair], names: Sequence[str]) -> Shots:
    """Draw each pair. Raises Unavailable; an image that is gone, or no image, is told of in `left_out`."""
    shots, left_out = [], []
    for pair in pairs:
        content = await _content(data, project, pair.a.image)
        if isinstance(content, str):
            left_out.append(f"{pair.a.image}: {content}")
            continue
        try:
            shots.append(await asyncio.to_thread(_shot, content, pair, names))
        except (
            OSError,
            SyntaxError,
            ValueError,
            Image.DecompressionBombError,
        ) as error:  # what Pillow says of bad files
            left_out.append(f"{pair.a.image} can't be drawn: {error}")
    return Shots(tuple(shots), tuple(left_out))


async def _content(data: Blobs, project: str, name: str) -> bytes | str:
    """Return the image that a test file is called after, or why there is none."""
    digits = digits_in(name)
    if digits is None:
        return "its name does not tell which image it is"
    async for info in data.list(keys.images(project) + digits.image):
        try:
            return (await data.get(info.key, _MOST_BYTES)).data
        except BlobNotFound:
            continue
        except BlobTooLarge as error:
            return str(error)
    return "the image is not in the store any more"


def _shot(content: bytes, pair: Pair, names: Sequence[str]) -> Shot:
    with Image.open(io.BytesIO(content)) as opened:
        opened.draft("RGB", (SIDE * 2, SIDE * 2))  # a large JPEG is decoded at about the size that is needed
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return Shot(
        pair.a.image, _drawn(picture, pair.a, names), _drawn(picture, pair.b, names), _said(pair.a), _said(pair.b)
    )


def _drawn(picture: Image.Image, result: ImageResult, names: Sequence[str]) -> bytes:
    buffer = io.BytesIO()
    drawn = draw(picture, uncrowded(_boxes(result, picture.size, names), picture.width), _FONT)
    drawn.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)  # thin lines keep their colours
    return buffer.getvalue()


def _boxes(result: ImageResult, size: tuple[int, int], names: Sequence[str]) -> list[Marked]:
    """Return the boxes to draw, mistakes first."""
    kinds: tuple[tuple[list[Found], Line], ...] = (
        ([one for one in result.boxes if not one.hit], "crossed"),
        ([one for one in result.truths if not one.hit], "dashed"),
        ([one for one in result.boxes if one.hit], "solid"),
    )
    return [
        Marked(one.class_id, _text(one, names) if len(found) <= _NAMED else "", _placed(one, size), line)
        for found, line in kinds
        for one in found
    ]


def uncrowded(boxes: Sequence[Marked], width: int) -> list[Marked]:
    """Take the names from boxes where they would cover the name of a box before them; `width` is the picture's."""
    font, taken, told = ImageFont.load_default(size=_FONT), list[_Corners](), list[Marked]()
    for box in boxes:
        left, top, right, bottom = font.getbbox(box.text)
        wide, high = right - left + _MARGIN, bottom - top + _MARGIN
        x = max(0.0, min(box.corners[0], width - wide))  # as they are drawn
        y = box.corners[1] - high if box.corners[1] >= high else box.corners[1]
        place = (x, y, x + wide, y + high)
        if box.text and any(_meet(place, other) for other in taken):
            told.append(replace(box, text=""))
            continue
        if box.text:
            taken.append(place)
        told.append(box)
    return told


def _meet(one: _Corners, other: _Corners) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _placed(found: Found, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the corners in pixels, at least one apart."""
    x1, y1, x2, y2 = found.corners
    left, top = x1 * size[0], y1 * size[1]
    return left, top, max(left + 1, x2 * size[0] - 1), max(top + 1, y2 * size[1] - 1)


def _text(found: Found, names: Sequence[str]) -> str:
    name = names[found.class_id] if found.class_id < len(names) else f"class {found.class_id}"
    return name[:24] if found.confidence is None else f"{name[:24]} {found.confidence:.2f}"


def _said(result: ImageResult) -> str:
    hits = sum(one.hit for one in result.truths)
    false = sum(not one.hit for one in result.boxes)
    found = f"{hits} of {len(result.truths)} found" if result.truths else "nothing is there"
    return f"{found}, {false} false" if false else found
