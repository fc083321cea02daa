"""What a recipe makes of one image, as a contact sheet: the original and its variants with their boxes."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont, ImageOps

from augmenter.recipe import Recipe
from augmenter.render import render
from augmenter.rendering import Rendered
from labelstream.classes import ClassSchema
from labelstream.errors import Rejected
from labelstream.events.annotation import ImageRef
from labelstream.labels import Shape
from labelstream_datasets.pictures import Marked, draw

TILE = 420  # pixels, the longer side of a picture
_GAP, _CAPTION = 12, 22
_PAPER, _INK = (250, 250, 248), (28, 28, 30)


@dataclass(frozen=True)
class Preview:
    """The variants of an image, and the sheet that shows them."""

    variants: tuple[Rendered, ...]
    sheet: Image.Image


def preview(encoded: bytes, shapes: tuple[Shape, ...], recipe: Recipe, schema: ClassSchema | None = None) -> Preview:
    """Render an image as the augmenter would, and draw a sheet. Raises Rejected for an image that can't be read."""
    original = _opened(encoded)
    made = render(encoded, _reference(encoded, original), shapes, recipe, schema.modes() if schema else {})
    captions = [group.mode for group in recipe.variants for _ in range(group.count)]
    pictures = [_shown(original, shapes, schema, "original")]
    for number, (one, mode) in enumerate(zip(made.variants, captions, strict=True), 1):
        pictures.append(_shown(_opened(one.image), one.shapes, schema, f"{number} · {mode}" if mode else f"{number}"))
    return Preview(made.variants, _sheet(pictures))


def _opened(encoded: bytes) -> Image.Image:
    try:
        with Image.open(io.BytesIO(encoded)) as opened:
            return ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise Rejected("image.unreadable", f"the image can't be decoded: {error}", "Name another one.") from error


def _reference(encoded: bytes, original: Image.Image) -> ImageRef:
    with Image.open(io.BytesIO(encoded)) as opened:
        named = (opened.format or "").lower()
    digest = hashlib.sha256(encoded).hexdigest()  # decides what is drawn, as in the augmenter
    return ImageRef(
        key=digest, sha256=digest, size_bytes=len(encoded), format=named, width=original.width, height=original.height
    )


def _shown(picture: Image.Image, shapes: Sequence[Shape], schema: ClassSchema | None, caption: str) -> Image.Image:
    by = TILE / max(picture.size)
    size = (max(1, round(picture.width * by)), max(1, round(picture.height * by)))
    marked = []
    for shape in shapes:
        x1, y1, x2, y2 = shape.corners()
        corners = (x1 * size[0], y1 * size[1], x2 * size[0], y2 * size[1])
        marked.append(Marked(shape.class_id, _name(shape.class_id, schema) if len(shapes) <= 12 else "", corners))
    drawn = draw(picture.resize(size, Image.Resampling.LANCZOS), marked, font_px=12)
    tile = Image.new("RGB", (size[0], size[1] + _CAPTION), _PAPER)
    tile.paste(drawn, (0, _CAPTION))
    ImageDraw.Draw(tile).text((2, 2), caption, font=ImageFont.load_default(size=14), fill=_INK)
    return tile


def _name(class_id: int, schema: ClassSchema | None) -> str:
    known = schema is not None and class_id < len(schema.classes)
    return schema.classes[class_id] if schema is not None and known else str(class_id)


def _sheet(tiles: Sequence[Image.Image]) -> Image.Image:
    across = min(range(3, 6), key=lambda columns: (-len(tiles) % columns, abs(columns - 4)))
    across = min(across, len(tiles))
    wide, high = (max(tile.size[side] for tile in tiles) + _GAP for side in (0, 1))
    sheet = Image.new("RGB", (across * wide + _GAP, math.ceil(len(tiles) / across) * high + _GAP), _PAPER)
    for number, tile in enumerate(tiles):
        sheet.paste(tile, (_GAP + number % across * wide, _GAP + number // across * high))
    return sheet
