"""Drawn scenes as annotated images, as many as are wanted: those of the demonstration, from another seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2

from labelstream_cli.scenes.clips import SIDE, Drawn, draw_clip
from labelstream_cli.scenes.folder import JPEG_QUALITY
from labelstream_cli.scenes.silhouettes import CLASSES

SCHEMA = {"name": "scenes", "version": 1, "classes": list(CLASSES)}


@dataclass(frozen=True)
class Scene:
    """A frame of a clip, as a file, and the boxes that are on it."""

    name: str
    medium: str
    image: bytes  # JPEG
    boxes: tuple[dict[str, Any], ...]


def scenes(seed: int, first_clip: int = 0) -> Iterator[Scene]:
    """Yield frames of one clip after the other, without end."""
    clip = first_clip
    while True:
        for frame in draw_clip(seed, clip):
            done, encoded = cv2.imencode(".jpg", frame.picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            if not done:
                raise OSError("OpenCV could not write a JPEG file")
            boxes = tuple(map(_box, frame.things))
            yield Scene(f"{frame.clip}-{frame.number}", frame.clip, encoded.tobytes(), boxes)
        clip += 1


def _box(thing: Drawn) -> dict[str, Any]:
    centre = {"x": (thing.x1 + thing.x2) / 2 / SIDE, "y": (thing.y1 + thing.y2) / 2 / SIDE}
    return {"class": thing.name, **centre, "w": (thing.x2 - thing.x1) / SIDE, "h": (thing.y2 - thing.y1) / SIDE}
