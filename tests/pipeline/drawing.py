"""Small drawn photographs with their annotations: everything that the pipeline's tests push."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw

from labelstream.streams.message import Message
from labelstream.wire import native

SIDE = 96  # pixels
CLASSES = ("square", "disc")
MEDIA, SHOTS = 12, 3  # so many films, so many frames of each
GOOD = MEDIA * SHOTS


@dataclass(frozen=True)
class Shot:
    """An image with one or two shapes on it, and their boxes."""

    name: str
    medium: str
    image: bytes
    boxes: tuple[dict[str, Any], ...]

    def message(self, **fields: Any) -> Message:
        """Submit the shot in the native form; `fields` replace or add to those of the body."""
        body: dict[str, Any] = {"name": self.name, "image": self.image, "boxes": self.boxes, "medium": self.medium}
        return native.write(**body | fields)


def shot(name: str, medium: str) -> Shot:
    """Draw what belongs to a name: the same name, the same bytes."""
    chance = random.Random(name)
    ground = tuple(chance.randrange(30, 90) for _ in range(3))
    picture = Image.new("RGB", (SIDE, SIDE), ground)
    pen = ImageDraw.Draw(picture)
    boxes = []
    for column in chance.sample(range(2), chance.randint(1, 2)):
        kind, size = chance.choice(CLASSES), chance.randrange(26, 40)
        left, top = column * SIDE // 2 + chance.randrange(0, 48 - size), chance.randrange(4, SIDE - size)
        corners = (left, top, left + size, top + size)
        if kind == "square":
            pen.rectangle(corners, fill=(235, 80, 60))
        else:
            pen.ellipse(corners, fill=(70, 200, 240))
        centre = {"x": (left + size / 2) / SIDE, "y": (top + size / 2) / SIDE}
        boxes.append({"class": kind, **centre, "w": size / SIDE, "h": size / SIDE})
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return Shot(name, medium, file.getvalue(), tuple(boxes))


def shots() -> list[Shot]:
    """Return the shots that make the dataset."""
    return [shot(f"film-{medium}-{frame}", f"film-{medium}") for medium in range(MEDIA) for frame in range(SHOTS)]


def the_push() -> list[Message]:
    """Return what a producer pushes in one go: `GOOD` validated shots, and among them what needs another answer."""
    good = shots()
    messages = [one.message() for one in good]
    outside = [{**box, "x": 1.4} for box in good[3].boxes]
    messages[5:5] = [good[3].message(name="sticks-out", boxes=outside)]
    messages[25:25] = [good[0].message(), shot("not-yet", "film-0").message(validated=False)]
    messages[40:40] = [native.write_bulk("validated", ["never-recorded"])]
    return messages
