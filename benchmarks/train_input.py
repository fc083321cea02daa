"""A dataset of drawn scenes in a store, as an augmenter and a trainer would have left it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2

from augmenter.recipe import Recipe, load_recipe
from augmenter.render import render
from labelstream import keys
from labelstream.blobs.s3 import S3Blobs
from labelstream.classes import ClassSchema
from labelstream.events.annotation import ImageRef
from labelstream.labels import Box, labels_digest
from labelstream.values import FileRef, Position, Split, sha256_hex
from labelstream_cli.scenes.clips import SIDE, Frame, draw_clip
from labelstream_cli.scenes.folder import SEED
from labelstream_cli.scenes.silhouettes import CLASSES
from labelstream_datasets.archives.contents import ArchiveWriter, Contents
from labelstream_datasets.description import DatasetDescription, SplitCount
from labelstream_datasets.manifest import Manifest, Row
from labelstream_datasets.store import BuiltDataset, store

PROJECT = "default"
ARCHIVE_CLIPS = 10  # clips in an archive
SCHEMA = ClassSchema(name="bench", classes=tuple(CLASSES))
DEAL: tuple[Split, ...] = ("train",) * 7 + ("val",) + ("test",) * 2  # of ten clips


@dataclass(frozen=True)
class Sample:
    """A frame as an annotation."""

    clip: int
    image: ImageRef
    content: bytes
    boxes: tuple[Box, ...]

    @property
    def split(self) -> Split:
        """Return where its clip belongs."""
        return DEAL[self.clip % len(DEAL)]


async def fill(blobs: S3Blobs, clips: int) -> FileRef:
    """Draw clips, augment those of the train split, store archives and dataset; return its description."""
    recipe = load_recipe("default")
    rows: list[Row] = []
    for first in range(0, clips, ARCHIVE_CLIPS):
        samples = [sample for clip in range(first, min(first + ARCHIVE_CLIPS, clips)) for sample in _samples(clip)]
        contents, archive = await asyncio.to_thread(_archive, samples, recipe)
        file = FileRef.of(keys.archive(PROJECT, sha256_hex(archive)), archive)
        await blobs.put(file.key, archive)
        rows += _rows(samples, contents, file, recipe.digest)
    manifest = Manifest.of(rows)
    description = DatasetDescription(
        id=manifest.id,
        project=PROJECT,
        cut=Position(stream="annotation-events", offset=0),
        class_schema=SCHEMA,
        recipe=recipe.digest,
        counts=_counts(rows),
    )
    return (await store(blobs, BuiltDataset(description, manifest))).description


def _samples(clip: int) -> Iterator[Sample]:
    for frame in draw_clip(SEED, clip):
        encoded = cv2.imencode(".jpg", frame.picture)[1].tobytes()
        digest = sha256_hex(encoded)
        image = ImageRef(
            key=keys.image(PROJECT, digest, "jpg"),
            sha256=digest,
            size_bytes=len(encoded),
            format="jpeg",
            width=SIDE,
            height=SIDE,
        )
        yield Sample(clip, image, encoded, _boxes(frame))


def _boxes(frame: Frame) -> tuple[Box, ...]:
    return tuple(
        Box.from_corners(CLASSES.index(thing.name), *(side / SIDE for side in (thing.x1, thing.y1, thing.x2, thing.y2)))
        for thing in frame.things
    )


def _archive(samples: Sequence[Sample], recipe: Recipe) -> tuple[Contents, bytes]:
    writer = ArchiveWriter(recipe.digest)
    for sample in samples:
        rendered = render(sample.content, sample.image, sample.boxes, recipe, {})
        variants = [(variant.image, variant.shapes) for variant in rendered.variants]
        made = [(sample.content, sample.boxes), *(variants if sample.split == "train" else [])]
        writer.add(sample.image, labels_digest(sample.boxes), made, rendered.phash)
    contents, archive = writer.finish()
    assert archive is not None
    return contents, archive


def _rows(samples: Sequence[Sample], contents: Contents, file: FileRef, recipe: str) -> Iterator[Row]:
    for sample, made in zip(samples, contents.made, strict=True):
        for variant in made.variants:
            yield Row(
                image=made.image,
                labels=made.labels,
                recipe=recipe,
                variant=variant.variant,
                split=sample.split,
                name=made.image,
                medium=f"clip-{sample.clip}",
                archive=file.key,
                archive_sha256=file.sha256,
                archive_bytes=file.size_bytes,
                path=variant.image_path,
                boxes=variant.boxes,
                sha256=variant.sha256,
                phash=made.phash,
            )


def _counts(rows: Sequence[Row]) -> dict[Split, SplitCount]:
    counts: dict[Split, SplitCount] = {}
    for split in dict.fromkeys(DEAL):
        chosen = [row for row in rows if row.split == split]
        originals = [row for row in chosen if row.variant == 0]
        counts[split] = SplitCount(
            media=len({row.medium for row in chosen}),
            images=len(originals),
            samples=len(chosen),
            boxes=sum(row.boxes for row in originals),
            class_images=dict.fromkeys(range(len(CLASSES)), len(originals)),
        )
    return counts
