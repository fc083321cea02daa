"""Clips: some frames of one scene, in which the camera drifts and some things move."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from labelstream_cli.scenes.ground import FINER, Ground, Mask, Picture, bush, draw_ground, fill
from labelstream_cli.scenes.silhouettes import CLASSES, SILHOUETTES, Colour, Part, Points
from labelstream_cli.scenes.weather import WEATHERS

SIDE = 160  # pixels
WORLD = 220  # pixels; what the camera may see while it drifts
MOVING = ("car", "plane")
ZOOM = 1.2  # of the things: a car is 28 to 37 pixels long
_SNOW: Colour = (232, 228, 226)
_TRIES = 40  # for a free place


@dataclass(frozen=True)
class Drawn:
    """A thing in a frame: its class and its tight box in pixels."""

    name: str
    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True)
class Frame:
    """A drawn picture and what stands in it."""

    clip: str
    number: int
    weather: str
    picture: npt.NDArray[np.uint8]  # (160, 160, 3) blue, green, red
    things: tuple[Drawn, ...]


@dataclass(frozen=True)
class _Thing:
    name: str
    parts: list[Part]
    place: Points  # (2,) x and y in the world
    heading: float  # radians
    step: float  # pixels from one frame to the next
    bush: tuple[float, float, float] | None  # direction, distance and radius of what hides a corner of it

    def at(self, frame: int) -> Points:
        """Return where it is in a frame."""
        return self.place + frame * self.step * np.array([np.cos(self.heading), np.sin(self.heading)])


def draw_clip(seed: int, number: int) -> Iterator[Frame]:
    """Draw two or three frames; the same seed and number give the same ones."""
    rng = np.random.default_rng([seed, number])
    weather = tuple(WEATHERS)[number % len(WEATHERS)]
    ground = draw_ground(rng, WORLD, _SNOW if weather == "snow" else None)
    things = _things(rng, ground)
    sun = rng.uniform(1.5, 3.5, 2) * rng.choice((-1, 1), 2)
    drift, turn = rng.uniform(-3, 3, 2), rng.uniform(-2, 2)
    for frame in range(int(rng.integers(2, 4))):
        camera = _camera(drift * frame, turn * frame)
        picture, drawn = _draw(rng, ground, things, frame, camera, sun if weather != "fog" else sun * 0)
        shown = WEATHERS[weather](rng, picture) + rng.normal(0, 3, picture.shape)
        pixels = np.clip(np.round(shown), 0, 255).astype(np.uint8)
        yield Frame(f"clip-{number:04d}", frame, weather, pixels, drawn)


def _things(rng: np.random.Generator, ground: Ground) -> list[_Thing]:
    things: list[_Thing] = []
    for _ in range(int(rng.integers(2, 5))):
        name = CLASSES[rng.integers(len(CLASSES))]
        place = _place(rng, ground, things)
        if place is None:
            continue
        paint = (float(rng.uniform(60, 225)), float(rng.uniform(60, 225)), float(rng.uniform(60, 225)))
        step = rng.uniform(0, 3) if name in MOVING and rng.random() < 0.6 else 0.0
        hidden = (rng.uniform(0, 2 * np.pi), rng.uniform(11, 16), rng.uniform(5, 8)) if rng.random() < 0.25 else None
        things.append(_Thing(name, SILHOUETTES[name](rng, paint), place, rng.uniform(0, 2 * np.pi), step, hidden))
    return things


def _place(rng: np.random.Generator, ground: Ground, others: list[_Thing]) -> Points | None:
    """Return a dry place well inside the picture, away from others."""
    margin = (WORLD - SIDE) / 2 + 30
    for _ in range(_TRIES):
        place = rng.uniform(margin, WORLD - margin, 2)
        if ground.water[int(place[1] * FINER), int(place[0] * FINER)]:
            continue
        if all(np.hypot(*(place - other.place)) > 48 for other in others):
            return place
    return None


def _camera(shift: Points, turn_deg: float) -> Points:
    """Return the (2, 3) matrix from the world to the picture."""
    matrix: Points = cv2.getRotationMatrix2D((WORLD / 2, WORLD / 2), turn_deg, 1.0)
    matrix[:, 2] += shift - (WORLD - SIDE) / 2
    return matrix


def _draw(
    rng: np.random.Generator, ground: Ground, things: list[_Thing], frame: int, camera: Points, sun: Points
) -> tuple[Picture, tuple[Drawn, ...]]:
    finer = camera.copy()
    finer[:, 2] *= FINER
    picture: Picture = cv2.warpAffine(
        ground.picture, finer, (SIDE * FINER, SIDE * FINER), borderMode=cv2.BORDER_REFLECT
    )
    drawn = []
    for thing in things:
        outlines = [_seen(thing, part.outline, frame, camera) for part in thing.parts]
        _shadow(picture, outlines, sun)
        for part, outline in zip(thing.parts, outlines, strict=True):
            fill(picture, outline, part.colour)
        drawn.append(_box(thing.name, outlines))
    for thing in things:
        if thing.bush is not None:
            direction, distance, radius = thing.bush
            x, y = camera @ [*(thing.at(frame) + distance * np.array([np.cos(direction), np.sin(direction)])), 1.0]
            bush(rng, picture, x, y, radius)
    small: Picture = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return small, tuple(drawn)


def _seen(thing: _Thing, outline: Points, frame: int, camera: Points) -> Points:
    cos, sin = np.cos(thing.heading), np.sin(thing.heading)
    world = ZOOM * outline @ np.array([[cos, sin], [-sin, cos]]) + thing.at(frame)
    seen: Points = world @ camera[:, :2].T + camera[:, 2]
    return seen


def _shadow(picture: Picture, outlines: list[Points], sun: Points) -> None:
    if not sun.any():
        return
    corners = np.concatenate(outlines) + sun
    left, top = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)) + 1, SIDE).astype(int)
    under = picture[top * FINER : bottom * FINER, left * FINER : right * FINER]
    mask: Mask = np.zeros(under.shape[:2], np.uint8)
    for outline in outlines:
        fill(mask, outline + sun - (left, top), 255)
    under[mask > 0] *= np.float32(0.6)


def _box(name: str, outlines: list[Points]) -> Drawn:
    corners = np.clip(np.concatenate(outlines), 0, SIDE)
    (x1, y1), (x2, y2) = corners.min(axis=0), corners.max(axis=0)
    return Drawn(name, float(x1), float(y1), float(x2), float(y2))
