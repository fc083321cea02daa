"""A project's streams and store, on doubles, as annotation-ingest and the augmenter would write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from labelstream import keys
from labelstream.classes import ClassSchema
from labelstream.events.annotation import Annotation, AnnotationSettled, ImageRef, Outcome
from labelstream.events.base import (
    ANNOTATION_EVENTS,
    Event,
)
from labelstream.events.batch import BatchAugmented, LeftOut, Member, Range, Variant
from labelstream.events.envelope import Envelope
from labelstream.labels import Box, labels_digest
from labelstream.streams.memory import MemoryBroker
from labelstream.values import FileRef, Position, Split, sha256_hex
from labelstream_cli.datasets.making import Made, Wanted, make
from labelstream_cli.datasets.place import Place
from labelstream_datasets.options import DatasetOptions

OLD, NEW = "a" * 64, "b" * 64  # recipes
SCHEMA = ClassSchema(name="scenes", classes=("car", "truck"))
TRAIN = DatasetOptions(ratios="100/0/0")
ALIKE = "00000000000000ff"


def annotation(number: int, split: Split | None = None) -> Annotation:
    digest = sha256_hex(f"image {number}".encode())
    shapes = (Box(class_id=number % 2, x=0.5, y=0.5, w=0.2, h=0.1),)
    image = ImageRef(
        key=f"default/images/{digest}.jpg", sha256=digest, size_bytes=9, format="jpeg", width=96, height=64
    )
    return Annotation(
        image=image,
        medium=f"film {number}",
        split=split,
        shapes=shapes,
        labels=labels_digest(shapes),
        schema_digest=SCHEMA.digest,
    )


@dataclass
class World:
    """A project's streams and store, written event by event."""

    place: Place
    said: int = 0
    covered: int = -1  # offset of annotation-events

    async def say(self, event: Event) -> int:
        self.said += 1
        assert isinstance(self.place.broker, MemoryBroker)
        await self.place.broker.ensure_stream(event.stream)
        envelope = Envelope.of(event, source="test", answers=f"{self.said}", project="default")
        await self.place.broker.publisher(event.stream, "test").publish([(self.said, envelope.to_message())])
        offset = await self.place.broker.last_offset(event.stream)
        assert offset is not None
        return offset

    async def record(self, number: int, split: Split | None = None, name: str = "") -> int:
        """Record the annotation `n<number>`, validated; return the offset."""
        content = annotation(number, split)
        outcome = Outcome(name=name or f"n{number}", outcome="recorded", revision=1, validated=True, annotation=content)
        position = Position(stream="annotations", offset=self.said)
        return await self.say(
            AnnotationSettled(input=position, message_key=f"{self.said}", wire="native", outcomes=(outcome,))
        )

    async def augment(
        self,
        offsets: dict[int, int],
        recipe: str = OLD,
        *,
        refused: tuple[int, ...] = (),
        unhashed: tuple[int, ...] = (),
    ) -> None:
        """Answer number → offset with two variants each, but those of `refused`; everything before is answered too."""
        key = keys.archive("default", sha256_hex(f"{recipe} {sorted(offsets)}".encode()))
        members, left_out = [], []
        for number, offset in offsets.items():
            content = annotation(number)
            which: dict[str, Any] = {
                "name": f"n{number}", "image": content.image.sha256, "labels": content.labels, "offset": offset,
            }  # fmt: skip
            if number in refused:
                left_out.append(LeftOut(**which, reason="the image is torn"))
                continue
            variants = tuple(
                Variant(variant=v, image_path=f"{number}_{v}.jpg", sha256=sha256_hex(b"pixels"), boxes=1)
                for v in range(2)
            )
            members.append(Member(**which, variants=variants, phash=None if number in unhashed else ALIKE))
        last = max(offsets.values())
        first = 0 if recipe == NEW else self.covered + 1
        await self.place.blobs.put(key, b"archive")
        await self.say(
            BatchAugmented(
                input=Range(stream=ANNOTATION_EVENTS, first=first, last=last),
                recipe=recipe,
                archive=FileRef.of(key, b"archive"),
                members=tuple(members),
                left_out=tuple(left_out),
            )
        )
        self.covered = last

    async def make(self, **how: Any) -> Made:
        return await make(self.place, Wanted(**{"options": TRAIN, **how}))
