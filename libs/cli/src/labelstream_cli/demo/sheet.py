"""detections.png: held-out images, the annotation beside what the model found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from labelstream_cli.demo.heldout import Compared, as_marked
from labelstream_cli.pictures import Marked, draw, open_picture

TILE = 300  # pixels, the longer side of a picture
PAIRS_ACROSS, PAIRS_DOWN = 3, 4
_GAP, _HEAD, _CAPTION = 14, 74, 26
_PAPER, _INK, _FAINT = (250, 250, 248), (28, 28, 30), (110, 110, 116)


def write_sheet(compared: Sequence[Compared], title: str, path: Path) -> None:
    """Write a tidy sheet of some of the images, spread over all of them."""
    chosen = spread(compared, PAIRS_ACROSS * PAIRS_DOWN)
    pairs = [_pair(one) for one in chosen]
    wide = max(pair.width for pair in pairs)
    high = max(pair.height for pair in pairs) + _CAPTION
    across = min(PAIRS_ACROSS, len(pairs))
    down = -(-len(pairs) // across)
    sheet = Image.new("RGB", (_GAP + across * (wide + _GAP), _HEAD + down * (high + _GAP)), _PAPER)
    canvas = ImageDraw.Draw(sheet)
    canvas.text((_GAP, 14), title, font=ImageFont.load_default(size=20), fill=_INK)
    below = "Each pair: left the annotation, right what the served model found. None of these images was trained on."
    canvas.text((_GAP, 42), below, font=ImageFont.load_default(size=14), fill=_FAINT)
    for number, (one, pair) in enumerate(zip(chosen, pairs, strict=True)):
        x = _GAP + number % across * (wide + _GAP)
        y = _HEAD + number // across * (high + _GAP)
        sheet.paste(pair, (x, y))
        caption = f"{one.image.name}: {one.matched} of {len(one.truth)} found"
        canvas.text((x, y + pair.height + 3), caption, font=ImageFont.load_default(size=14), fill=_INK)
    sheet.save(path)


def spread(compared: Sequence[Compared], count: int) -> list[Compared]:
    """Return at most `count` of the images, evenly spread; one of each medium where there are enough media."""
    first: dict[str, Compared] = {}
    for one in compared:
        first.setdefault(one.image.medium, one)
    chosen = list(compared) if len(first) < count else list(first.values())
    if len(chosen) <= count:
        return chosen
    return [chosen[round(number * (len(chosen) - 1) / (count - 1))] for number in range(count)]


def _pair(one: Compared) -> Image.Image:
    picture = open_picture(one.image.image_path)
    by = TILE / max(picture.size)
    size = (max(1, round(picture.width * by)), max(1, round(picture.height * by)))
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    left = _with(picture, one.truth, by)
    right = _with(picture, [as_marked(found) for found in one.answer.detections], by)
    pair = Image.new("RGB", (size[0] * 2 + 4, size[1]), _PAPER)
    pair.paste(left, (0, 0))
    pair.paste(right, (size[0] + 4, 0))
    return pair


def _with(picture: Image.Image, boxes: Sequence[Marked], by: float) -> Image.Image:
    texts = len(boxes) <= 8  # among many boxes the words would hide what they name
    shown = [box.scaled(by) if texts else Marked(box.class_id, "", box.scaled(by).corners) for box in boxes]
    return draw(picture, shown, font_px=13)
