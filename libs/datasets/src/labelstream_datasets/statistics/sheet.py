"""The contact sheet: a few images with their variants, and the boxes as training sees them."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from PIL import Image, ImageDraw, ImageFont, ImageOps

from labelstream.blobs.ports import Blobs
from labelstream.values import Split
from labelstream_datasets.checking.duplicates import Duplicates, NearPair
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.manifest import Manifest
from labelstream_datasets.options import LabelRules
from labelstream_datasets.pictures import Marked, colour_of, draw
from labelstream_datasets.statistics.members import Fetched, Sample, fetch
from labelstream_datasets.statistics.model import Statistics
from labelstream_datasets.statistics.picking import pick, rows_of

TILE = 256  # pixels of a picture's longer side
QUALITY = 82
NAMED = 8  # boxes; among more the words would hide what they name
_GAP, _CAPTION = 10, 24
_PAPER, _INK = (251, 250, 248), (29, 29, 33)


@dataclass(frozen=True)
class Tile:
    """One sample, small, with its boxes."""

    variant: int  # 0 is the original
    boxes: int
    jpeg: bytes


_Drawn = tuple[Sample, Tile, set[int]]  # with the classes that the tile shows


@dataclass(frozen=True)
class Strip:
    """An image and its variants."""

    name: str
    medium: str
    split: Split
    classes: tuple[tuple[int, str], ...]  # (id, name) of what the tiles show
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Sheet:
    """A few images of a dataset with their variants."""

    strips: tuple[Strip, ...]
    left_out: tuple[str, ...] = ()  # in words

    def jpeg(self) -> bytes:
        """Return the sheet as one picture."""
        across = max((len(strip.tiles) for strip in self.strips), default=1)
        rows = [[Image.open(io.BytesIO(tile.jpeg)) for tile in strip.tiles] for strip in self.strips]
        heights = [max(tile.height for tile in row) + _CAPTION + _GAP for row in rows]
        sheet = Image.new("RGB", (_GAP + across * (TILE + _GAP), _GAP + sum(heights)), _PAPER)
        canvas, font, y = ImageDraw.Draw(sheet), ImageFont.load_default(size=14), _GAP
        for strip, row, height in zip(self.strips, rows, heights, strict=True):
            _caption(canvas, font, y, strip)
            for number, tile in enumerate(row):
                sheet.paste(tile, (_GAP + number * (TILE + _GAP), y + _CAPTION))
            y += height
        return _encoded(sheet)


async def contact_sheet(
    blobs: Blobs,
    description: DatasetDescription,
    manifest: Manifest,
    statistics: Statistics,
    images: int = 8,
    most_archives: int = 4,
) -> Sheet:
    """Draw a few images with their variants, always the same ones; reads at most so many archives. Raises Unavailable.

    What could not be read is told of in `left_out`.
    """
    chosen = pick(statistics, images, most_archives)
    fetched = await fetch(blobs, rows_of(manifest, chosen))
    return await asyncio.to_thread(_sheet, fetched, chosen, description)


async def thumbnails(
    blobs: Blobs,
    description: DatasetDescription,
    manifest: Manifest,
    duplicates: Duplicates,
    pairs: int = 12,
    most_archives: int = 8,
) -> dict[str, bytes]:
    """Return image → a small JPEG of it, for the nearest pairs; reads at most so many archives. Raises Unavailable."""
    listed = duplicates.pairs[:pairs]
    rows = {row.image: row for row in rows_of(manifest, _images(listed)) if row.variant == 0}
    archives: set[str] = set()
    wanted: set[str] = set()
    for pair in listed:
        both = {rows[image].archive for image in _images([pair])}
        if len(archives | both) <= most_archives:
            archives |= both
            wanted |= _images([pair])
    fetched = await fetch(blobs, [rows[image] for image in wanted])
    rules = description.rules
    drawn = await asyncio.to_thread(_drawn, fetched, rules)
    return {sample.row.image: tile.jpeg for sample, tile, _ in drawn}


def _sheet(fetched: Fetched, order: Sequence[str], description: DatasetDescription) -> Sheet:
    rules = description.rules
    drawn = sorted(_drawn(fetched, rules), key=lambda one: (order.index(one[0].row.image), one[0].row.variant))
    groups = groupby(drawn, key=lambda one: one[0].row.image)
    return Sheet(tuple(_strip(list(group), rules) for _, group in groups), tuple(fetched.left_out))


def _drawn(fetched: Fetched, rules: LabelRules) -> list[_Drawn]:
    """Draw what was fetched; an image that Pillow can't read is left out."""
    drawn: list[_Drawn] = []
    for sample in fetched.samples:
        try:
            drawn.append((sample, *_tile(sample, rules)))
        except OSError as error:
            fetched.left_out.append(f"{sample.row.path} can't be drawn: {error}")
    return drawn


def _strip(drawn: Sequence[_Drawn], rules: LabelRules) -> Strip:
    row = drawn[0][0].row
    shown = sorted(set().union(*(classes for _, _, classes in drawn)))
    named = tuple((class_id, rules.class_schema.classes[class_id]) for class_id in shown)
    return Strip(row.name, row.medium, row.split, named, tuple(tile for _, tile, _ in drawn))


def _tile(sample: Sample, rules: LabelRules) -> tuple[Tile, set[int]]:
    """Draw a sample small; return it with the classes that it shows."""
    with Image.open(io.BytesIO(sample.image)) as opened:
        opened.thumbnail((TILE, TILE))
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    boxes = list(_boxes(rules.apply_lines(sample.lines), picture.size, rules.class_schema.classes))
    if len(boxes) > NAMED:
        boxes = [Marked(box.class_id, "", box.corners) for box in boxes]
    tile = Tile(sample.row.variant, len(boxes), _encoded(draw(picture, boxes, font_px=12)))
    return tile, {box.class_id for box in boxes}


def _boxes(lines: str, size: tuple[int, int], names: Sequence[str]) -> Iterator[Marked]:
    for line in lines.splitlines():
        number, *place = line.split()
        x, y, w, h = map(float, place)
        left, top, right, bottom = x - w / 2, y - h / 2, x + w / 2, y + h / 2
        corners = left * size[0], top * size[1], right * size[0], bottom * size[1]
        yield Marked(int(number), names[int(number)], corners)


def _images(pairs: Sequence[NearPair]) -> set[str]:
    return {image for pair in pairs for image in (pair.first.image, pair.second.image)}


def _caption(
    canvas: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, y: int, strip: Strip
) -> None:
    """Write what a strip shows, classes in the colours of their boxes."""
    named = [strip.name, strip.medium] if strip.medium != strip.name else [strip.name]
    text = "  ·  ".join([*named, strip.split])
    canvas.text((_GAP, y), text, font=font, fill=_INK)
    x = _GAP + canvas.textlength(text, font=font) + 24
    for class_id, name in strip.classes:
        canvas.rectangle((x, y + 3, x + 11, y + 14), fill=colour_of(class_id))
        canvas.text((x + 16, y), name, font=font, fill=_INK)
        x += 16 + canvas.textlength(name, font=font) + 16


def _encoded(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
