"""The best and the worst test images, with what is there and what was found."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from labelstream_datasets.pages.words import counted
from labelstream_datasets.pictures import Line, Marked, draw
from labelstream_yolo.scoring.values import Found, ImageResult

MOST = 24  # images, both kinds together
SIDE = 320  # pixels, of the longer side
_QUALITY, _FONT = 78, 11
_NAME = 24  # characters of a class name


@dataclass(frozen=True)
class Shot:
    """A picture with its boxes."""

    name: str
    quality: float
    jpeg: bytes
    said: str


@dataclass(frozen=True)
class Shots:
    """What can be shown, and what can't and why."""

    worst: tuple[Shot, ...]
    best: tuple[Shot, ...]
    left_out: tuple[str, ...]
    classes: tuple[tuple[int, str], ...]  # in the pictures, by id


def shots_of(results: Sequence[ImageResult], folder: Path, names: Sequence[str]) -> Shots:
    """Draw the images of both ends of `results`, which are sorted from the best."""
    half = min(MOST // 2, len(results) // 2)
    left_out: list[str] = []
    last, first = results[len(results) - half :][::-1], results[: min(MOST // 2, len(results) - half)]
    worst, best = tuple(_drawn(last, folder, names, left_out)), tuple(_drawn(first, folder, names, left_out))
    ids = {one.class_id for result in (*last, *first) for one in (*result.truths, *result.boxes)}
    return Shots(worst, best, tuple(left_out), tuple((id_, _name(id_, names)) for id_ in sorted(ids)))


def _drawn(results: Sequence[ImageResult], folder: Path, names: Sequence[str], left_out: list[str]) -> Iterator[Shot]:
    for result in results:
        try:
            jpeg = _jpeg(result, folder / result.image, names)
        except (
            OSError,
            SyntaxError,
            ValueError,
            Image.DecompressionBombError,
        ) as error:  # what Pillow says of bad files
            left_out.append(f"{result.image} can't be drawn: {error}")
            continue
        yield Shot(result.image, result.quality, jpeg, _said(result))


def _jpeg(result: ImageResult, path: Path, names: Sequence[str]) -> bytes:
    with Image.open(path) as opened:
        opened.draft("RGB", (SIDE * 2, SIDE * 2))  # a large JPEG is decoded at about the size that is needed
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    draw(picture, _boxes(result, picture.size, names), _FONT).save(
        buffer, "JPEG", quality=_QUALITY, subsampling=0
    )  # thin lines keep their colours
    return buffer.getvalue()


def _boxes(result: ImageResult, size: tuple[int, int], names: Sequence[str]) -> list[Marked]:
    """Return the boxes to draw, mistakes first; the more boxes there are of a kind, the sooner names give way."""
    false = [one for one in result.boxes if not one.hit]
    missed = [one for one in result.truths if not one.hit]
    hits = [one for one in result.boxes if one.hit]
    kinds: tuple[tuple[list[Found], Line, int], ...] = (
        (false, "crossed", 8),
        (missed, "dashed", 5),
        (hits, "solid", 5),
    )
    return [
        Marked(one.class_id, _text(one, names) if len(found) <= most_named else "", _placed(one, size), line)
        for found, line, most_named in kinds
        for one in found
    ]


def _placed(found: Found, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the corners in pixels, at least one apart."""
    x1, y1, x2, y2 = found.corners
    left, top = x1 * size[0], y1 * size[1]
    return left, top, max(left + 1, x2 * size[0] - 1), max(top + 1, y2 * size[1] - 1)


def _text(found: Found, names: Sequence[str]) -> str:
    name = _name(found.class_id, names)
    name = name if len(name) <= _NAME else name[: _NAME - 1] + "…"
    return name if found.confidence is None else f"{name} {found.confidence:.2f}"


def _name(class_id: int, names: Sequence[str]) -> str:
    return names[class_id] if class_id < len(names) else f"class {class_id}"


def _said(result: ImageResult) -> str:
    hits = sum(one.hit for one in result.truths)
    missed, false = len(result.truths) - hits, sum(not one.hit for one in result.boxes)
    parts = [f"{hits} of {counted(len(result.truths), 'box')} found"] if result.truths else ["no box is there"]
    parts += [f"{missed} missed"] if missed else []
    parts += [f"{false} false"] if false else []
    return ", ".join(parts)
