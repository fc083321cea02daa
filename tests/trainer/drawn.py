"""A drawn dataset, stored as the builder would store it: small scenes with two kinds of things on them."""

from __future__ import annotations

import asyncio
import io
import random
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from PIL import Image, ImageDraw

from labelstream import keys
from labelstream.blobs.ports import Blobs
from labelstream.classes import ClassSchema
from labelstream.events.training import DatasetRef
from labelstream.labels import Box, yolo_lines
from labelstream.values import FileRef, Position, Split, digest_of, sha256_hex
from labelstream_datasets.description import DatasetDescription, SplitCount
from labelstream_datasets.manifest import Manifest, Row
from labelstream_datasets.store import BuiltDataset, store

PROJECT = "default"
CLASSES = ("disc", "square")
SIDE = 64  # pixels
RECIPE = "a" * 64  # of an augmentation that nobody did
FEW: Mapping[Split, int] = {"train": 16, "val": 6, "test": 6}
ENOUGH: Mapping[Split, int] = {"train": 64, "val": 12, "test": 16}


@dataclass(frozen=True)
class Scene:
    """One image and its boxes."""

    name: str
    split: Split
    image: bytes
    boxes: tuple[Box, ...]


async def store_drawn(blobs: Blobs, sizes: Mapping[Split, int]) -> DatasetRef:
    """Draw so many scenes for each split, and store them as a dataset."""
    scenes = [_draw(f"{split}-{number}", split) for split, count in sizes.items() for number in range(count)]
    packed = await asyncio.to_thread(_pack, scenes)
    archive = FileRef.of(keys.archive(PROJECT, digest_of([scene.name for scene in scenes])), packed)
    await blobs.put(archive.key, packed)
    manifest = Manifest.of(_rows(scenes, archive))
    counts = {split: _count([scene for scene in scenes if scene.split == split]) for split in sizes}
    description = DatasetDescription(
        id=manifest.id,
        project=PROJECT,
        cut=Position(stream="annotation-events", offset=0),
        class_schema=ClassSchema(name="things", classes=CLASSES),
        recipe=RECIPE,
        counts=counts,
    )
    return await store(blobs, BuiltDataset(description, manifest))


def _draw(name: str, split: Split) -> Scene:
    chance = random.Random(name)
    picture = Image.new("RGB", (SIDE, SIDE), tuple(chance.randrange(70, 130) for _ in range(3)))
    pen = ImageDraw.Draw(picture)
    boxes = []
    for left in (2, SIDE // 2 + 2):  # one thing in each half
        kind, wide = chance.randrange(2), chance.randrange(20, 28)
        top = chance.randrange(2, SIDE - wide - 2)
        corners = (left, top, left + wide, top + wide)
        if kind == 0:
            pen.ellipse(corners, fill=(250, 240, 30))
        else:
            pen.rectangle(corners, fill=(20, 30, 230))
        boxes.append(Box.from_corners(kind, *(edge / SIDE for edge in corners)))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=92)
    return Scene(name, split, file.getvalue(), tuple(boxes))


def _pack(scenes: list[Scene]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(mode="w", fileobj=buffer) as tar:
        for scene in scenes:
            for suffix, content in (("jpg", scene.image), ("txt", yolo_lines(scene.boxes).encode())):
                entry = tarfile.TarInfo(f"{scene.name}.{suffix}")
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _rows(scenes: list[Scene], archive: FileRef) -> Iterator[Row]:
    for scene in scenes:
        yield Row(
            image=sha256_hex(scene.image),
            labels=sha256_hex(yolo_lines(scene.boxes).encode()),
            recipe=RECIPE,
            variant=0,
            split=scene.split,
            name=scene.name,
            medium=scene.name,
            archive=archive.key,
            archive_sha256=archive.sha256,
            archive_bytes=archive.size_bytes,
            path=f"{scene.name}.jpg",
            boxes=len(scene.boxes),
            sha256=sha256_hex(scene.image),
        )


def _count(scenes: list[Scene]) -> SplitCount:
    shown = {kind: sum(any(box.class_id == kind for box in scene.boxes) for scene in scenes) for kind in range(2)}
    count = len(scenes)
    return SplitCount(media=count, images=count, samples=count, boxes=2 * count, class_images=shown)
