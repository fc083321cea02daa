"""Annotations with small images: some come again, some are validated later, some can't be augmented."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import simplejpeg

from labelstream.blobs.ports import Blobs
from labelstream.classes import ClassSchema
from labelstream.events.annotation import Annotation, AnnotationErased, AnnotationSettled, ImageRef, Outcome
from labelstream.events.base import ANNOTATION_EVENTS, Event
from labelstream.events.envelope import Envelope
from labelstream.labels import Box, labels_digest
from labelstream.streams.ports import Broker
from labelstream.values import Position, sha256_hex

PROJECT = "default"
SCHEMA = ClassSchema(name="shapes", classes=("disc", "square", "triangle"))
WIDTH, HEIGHT = 96, 64
BAD = 0.04  # of the images
AGAIN, LATER = 0.15, 0.3  # of the annotations: with an image that came before; validated by a later event


@dataclass(frozen=True)
class Material:
    """Events for `annotation-events`, and the objects that they name."""

    events: list[Event]
    objects: dict[str, bytes]

    async def write(self, broker: Broker, blobs: Blobs) -> None:
        """Put everything where the augmenter finds it."""
        for key, data in self.objects.items():
            await blobs.put(key, data)
        await broker.ensure_stream(ANNOTATION_EVENTS)
        envelopes = [
            Envelope.of(event, source="ingest", answers=f"{number}", project=PROJECT)
            for number, event in enumerate(self.events)
        ]
        messages = [(number, envelope.to_message()) for number, envelope in enumerate(envelopes, 1)]
        await broker.publisher(ANNOTATION_EVENTS, "ingest").publish(messages)


def material(count: int, seed: int) -> Material:
    """Return `count` annotations, the same for the same seed; the last event ends the last batch."""
    chance = random.Random(seed)
    objects: dict[str, bytes] = {}
    events = [*_events(count, chance, objects)]
    return Material([*events, _ending(len(events))], objects)


def _events(count: int, chance: random.Random, objects: dict[str, bytes]) -> Iterator[Event]:
    drawn: list[Annotation] = []
    waiting: list[str] = []
    at = 0
    for number in range(count):
        again = drawn and chance.random() < AGAIN
        annotation = chance.choice(drawn) if again else _annotation(number, chance, objects)
        drawn.append(annotation)
        later = chance.random() < LATER
        recorded = Outcome(
            name=f"n{number}", outcome="recorded", validated=not later, revision=1, annotation=annotation
        )
        yield _settled(at := at + 1, recorded)
        waiting += [f"n{number}"] if later else []
        if len(waiting) == 5 or (number == count - 1 and waiting):
            yield _settled(
                at := at + 1, *(Outcome(name=n, outcome="validated", validated=True, revision=2) for n in waiting)
            )
            waiting = []


def _settled(at: int, *outcomes: Outcome) -> AnnotationSettled:
    return AnnotationSettled(
        input=Position(stream="annotations", offset=at), message_key=f"{at}", wire="native", outcomes=outcomes
    )


def _ending(at: int) -> AnnotationErased:
    """Erase what never was: an erasure ends its batch."""
    position = Position(stream="annotations", offset=at + 1)
    return AnnotationErased(input=position, message_key="end", names=("nobody",), images=("f" * 64,))


def _annotation(number: int, chance: random.Random, objects: dict[str, bytes]) -> Annotation:
    pixels = np.random.default_rng(number).integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    encoded = simplejpeg.encode_jpeg(
        np.ascontiguousarray(np.kron(pixels, np.ones((8, 8, 1), np.uint8))), quality=90, colorspace="BGR"
    )
    digest = sha256_hex(encoded)
    key = f"{PROJECT}/images/{digest}.jpg"
    stored = chance.choice((b"", encoded[: len(encoded) // 2], None)) if chance.random() < BAD else encoded
    if stored is not None:
        objects[key] = stored
    shapes = (Box.from_corners(number % 3, 0.25, 0.25, 0.5, 0.75),)
    image = ImageRef(key=key, sha256=digest, size_bytes=len(encoded), format="jpeg", width=WIDTH, height=HEIGHT)
    return Annotation(
        image=image,
        medium=f"film-{number % 17}",
        shapes=shapes,
        labels=labels_digest(shapes),
        schema_digest=SCHEMA.digest,
    )
