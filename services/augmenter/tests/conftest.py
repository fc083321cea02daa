"""Small scenes, and a renderer that works in this process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
import simplejpeg

from augmenter.domain import Sample
from augmenter.recipe import Recipe, load_recipe
from augmenter.render import render
from labelstream.errors import Rejected
from labelstream.events.annotation import Annotation, ImageRef
from labelstream.labels import Box, Shape, labels_digest

WIDTH, HEIGHT = 160, 120
Variants = list[tuple[bytes, tuple[Shape, ...]]]


@dataclass(frozen=True)
class Scene:
    """An image with a green rectangle on noise, and the box around it."""

    encoded: bytes
    image: ImageRef
    shapes: tuple[Shape, ...]

    def annotation(self, medium: str = "photo") -> Annotation:
        return Annotation(
            image=self.image,
            medium=medium,
            shapes=self.shapes,
            labels=labels_digest(self.shapes),
            schema_digest="0" * 64,
        )

    def sample(self, name: str = "a", offset: int = 0) -> Sample:
        return Sample(name, offset, self.image, labels_digest(self.shapes), self.shapes)


def draw(number: int, corners: tuple[float, float, float, float] = (0.25, 0.25, 0.5, 0.625)) -> Scene:
    """Draw the scene `number`; the same number gives the same bytes."""
    pixels = np.random.default_rng(number).integers(0, 70, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    x1, y1, x2, y2 = corners
    pixels[round(y1 * HEIGHT) : round(y2 * HEIGHT), round(x1 * WIDTH) : round(x2 * WIDTH)] = (30, 230, 30)
    encoded = simplejpeg.encode_jpeg(pixels, quality=95, colorspace="RGB")
    return Scene(encoded, reference(encoded), (Box.from_corners(number % 3, *corners),))


def reference(encoded: bytes, width: int = WIDTH, height: int = HEIGHT) -> ImageRef:
    digest = hashlib.sha256(encoded).hexdigest()
    key = f"default/images/{digest}.jpg"
    return ImageRef(key=key, sha256=digest, size_bytes=len(encoded), format="jpeg", width=width, height=height)


@dataclass
class InlineRenderer:
    """Renders in this process, and counts; images named in `crashing` behave like a decoder that died."""

    workers: int = 2
    rendered: int = 0
    crashing: set[str] = field(default_factory=set)

    async def render(self, encoded: bytes, image: ImageRef, shapes: tuple[Shape, ...], recipe: Recipe) -> Variants:
        if image.sha256 in self.crashing:
            raise Rejected("image.crash", "the image crashed its worker", "Send it in another format.")
        self.rendered += 1
        return [(made.image, made.shapes) for made in render(encoded, image, shapes, recipe)]


@pytest.fixture
def scene() -> Callable[..., Scene]:
    return draw


@pytest.fixture
def image_ref() -> Callable[..., ImageRef]:
    return reference


@pytest.fixture
def renderer() -> InlineRenderer:
    return InlineRenderer()


@pytest.fixture
def recipe() -> Recipe:
    return load_recipe("default")
