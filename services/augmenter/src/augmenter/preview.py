"""What a recipe makes of one image, as a contact sheet: the original and its variants with their boxes."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError

from augmenter.recipe import Recipe
from augmenter.render import render
from augmenter.rendering import Rendered
from labelstream.classes import ClassSchema
from labelstream.errors import Rejected
from labelstream.events.annotation import ImageRef
from labelstream.labels import Shape
from labelstream_datasets.pictures import Marked, colour_of, draw

TILE = 420  # pixels, the longer side of a picture
_GAP, _CAPTION, _SWATCH = 12, 22, 14
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
    sheet = _sheet(pictures)
    if schema is None:
        return Preview(made.variants, sheet)
    seen = {shape.class_id for one in (shapes, *(each.shapes for each in made.variants)) for shape in one}
    return Preview(made.variants, _with_legend(sheet, [(one, _name(one, schema)) for one in sorted(seen)]))


def _opened(encoded: bytes) -> Image.Image:
    try:
        with Image.open(io.BytesIO(encoded)) as opened:
            return ImageOps.exif_transpose(opened).convert("RGB")
    except UnidentifiedImageError as error:
        reason = "it is no image that can be decoded, such as a JPEG or a PNG"
        raise Rejected("image.unreadable", reason, "Name another one.") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow's for a broken PNG
        raise Rejected("image.unreadable", f"it can't be decoded: {error}", "Name another one.") from error


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


def _with_legend(sheet: Image.Image, classes: Sequence[tuple[int, str]]) -> Image.Image:
    """Add lines with each class's colour and name below the pictures."""
    font = ImageFont.load_default(size=14)
    places, x, y = [], _GAP, 0
    for class_id, name in classes:
        wide = _SWATCH + 6 + math.ceil(font.getlength(name)) + 2 * _GAP
        if x > _GAP and x + wide > sheet.width:
            x, y = _GAP, y + _CAPTION
        places.append((x, y, class_id, name))
        x += wide
    high = y + _CAPTION + _GAP if places else 0
    made = Image.new("RGB", (sheet.width, sheet.height + high), _PAPER)
    made.paste(sheet, (0, 0))
    canvas = ImageDraw.Draw(made)
    for left, down, class_id, name in places:
        top = sheet.height + down
        canvas.rectangle((left, top + 2, left + _SWATCH, top + 2 + _SWATCH), fill=colour_of(class_id), outline=_INK)
        canvas.text((left + _SWATCH + 6, top + 1), name, font=font, fill=_INK)
    return made
