"""Small scenes, a renderer that works in this process, and a world for pipelines."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg

from augmenter.domain import Limits, Sample
from augmenter.handler import Augmenter
from augmenter.making import Maker, Workshop
from augmenter.pipeline import Pipeline
from augmenter.recipe import Recipe, load_recipe, parse_recipe
from augmenter.render import render
from augmenter.rendering import Modes, Rendering
from augmenter.room import Room
from augmenter.store import Store
from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Rejected
from labelstream.events.annotation import Annotation, AnnotationErased, AnnotationSettled, ImageRef, Outcome
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS, Event
from labelstream.events.batch import BatchAugmented
from labelstream.events.envelope import Envelope
from labelstream.labels import Box, Shape, labels_digest
from labelstream.service.health import Health
from labelstream.streams.amqp import decode
from labelstream.streams.memory import MemoryBroker
from labelstream.values import Position

WIDTH, HEIGHT = 160, 120


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

    async def render(
        self, encoded: bytes, image: ImageRef, shapes: tuple[Shape, ...], recipe: Recipe, modes: Modes
    ) -> Rendering:
        if image.sha256 in self.crashing:
            raise Rejected("image.crash", "the image crashed its worker", "Send it in another format.")
        self.rendered += 1
        return render(encoded, image, shapes, recipe, modes)


RECIPE = parse_recipe("name: small\nvariants: [{count: 1, transforms: [{kind: flip, p: 1}]}]\n", "small")
SMALL = Limits(count=2, age_s=0.05)


@dataclass
class World:
    """A broker, a store and a renderer; pipelines come and go."""

    state: Path
    renderer: InlineRenderer
    recipe: Recipe = RECIPE
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)
    health: Health = field(default_factory=Health)
    said: int = 0

    async def say(self, *outcomes: Outcome, project: str = "default") -> None:
        self.said += 1
        event = AnnotationSettled(
            input=Position(stream="annotations", offset=self.said),
            message_key=f"{self.said}",
            wire="native",
            outcomes=outcomes,
        )
        await self.publish(event, project)

    async def erase(self, *names: str, images: Sequence[Scene] = (), kept: Sequence[Scene] = ()) -> None:
        """Do what annotation-ingest does: remove the images, then say so."""
        self.said += 1
        for drawn in images:
            await self.blobs.delete(drawn.image.key)
        event = AnnotationErased(
            input=Position(stream="annotations", offset=self.said),
            message_key=f"{self.said}",
            names=names,
            images=tuple(drawn.image.sha256 for drawn in images),
            kept_images=tuple(drawn.image.sha256 for drawn in kept),
        )
        await self.publish(event)

    async def publish(self, event: Event, project: str = "default") -> None:
        envelope = Envelope.of(event, source="ingest", answers=str(self.said), project=project)
        await self.broker.ensure_stream(ANNOTATION_EVENTS)
        await self.broker.publisher(ANNOTATION_EVENTS, "ingest").publish([(self.said, envelope.to_message())])

    async def record(self, name: str, drawn: Scene, *, validated: bool = True, outcome: Any = "recorded") -> None:
        await self.blobs.put(drawn.image.key, drawn.encoded)
        await self.say(
            Outcome(name=name, outcome=outcome, validated=validated, revision=1, annotation=drawn.annotation())
        )

    @property
    def store(self) -> Store:
        return Store(self.blobs, self.health)

    @property
    def workshop(self) -> Workshop:
        return Workshop(self.store, self.renderer, Room(1 << 30))

    def pipeline(
        self, limits: Limits = SMALL, recipe: Recipe = RECIPE, maker: Maker | None = None, ahead: int = 2
    ) -> Pipeline:
        augmenter = Augmenter(maker or self.workshop, recipe, limits)
        return Pipeline("default", self.broker, augmenter, self.store, self.state / "view.sqlite", ahead)

    def envelopes(self) -> list[Envelope]:
        found = (Envelope.from_message(decode(delivery.raw)) for delivery in self.broker.stored(BATCH_EVENTS) or ())
        return [envelope for envelope in found if envelope is not None]

    def batches(self) -> list[BatchAugmented]:
        return [envelope.event for envelope in self.envelopes() if isinstance(envelope.event, BatchAugmented)]

    def names(self) -> list[str]:
        return [member.name for batch in self.batches() for member in batch.members]

    async def covered(self) -> None:
        """Wait until every offset so far is answered."""
        last = await self.broker.last_offset(ANNOTATION_EVENTS)
        await self.until(lambda: bool(self.batches()) and self.batches()[-1].input.last == last)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110  # a memory broker tells nobody
                await asyncio.sleep(0.005)

    @asynccontextmanager
    async def running(self, limits: Limits = SMALL, recipe: Recipe = RECIPE, **told: Any) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:  # a pipeline that fails ends the test
            task = group.create_task(self.pipeline(limits, recipe, **told).run())
            yield
            task.cancel()


@pytest.fixture
def world(tmp_path: Path, renderer: InlineRenderer) -> World:
    return World(tmp_path, renderer)


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
