"""A dataset of 125,000 annotations and their million variants: how long its manifest takes, and how much memory.

A process of its own does it: it opens a view that is there, folds the batches that an augmenter would have
announced, builds, writes the Parquet file, and reads it back. The time is that from the filled view and index to the
stored file; the memory is the most that the process ever held, with its interpreter, the index and the file.
ANNOTATIONS=<n> and VARIANTS=<n> (beside the original) take others; every annotation is in train, so that all count.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.figures import Figure
from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.classes import ClassSchema
from labelstream.events.annotation import Annotation, AnnotationSettled, ImageRef, Outcome
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.batch import BatchAugmented, Member, Range, Variant
from labelstream.events.envelope import Envelope
from labelstream.labels import Box, labels_digest
from labelstream.values import FileRef, Position, Split, sha256_hex
from labelstream.view import AnnotationView
from labelstream_datasets.building.build import DatasetPlan, build, store
from labelstream_datasets.building.index import BatchIndex
from labelstream_datasets.manifest import Manifest

ANNOTATIONS = int(os.environ.get("ANNOTATIONS", "125000"))
VARIANTS = int(os.environ.get("VARIANTS", "7"))
OF_A_MEDIUM = 100
OF_A_BATCH = 500
PROJECT = "default"
RECIPE = sha256_hex(b"recipe")
SCHEMA = ClassSchema(name="bench", classes=("car", "truck", "person"))
BOXES = tuple(Box(class_id=n, x=0.1 + 0.2 * n, y=0.5, w=0.123456, h=0.654321) for n in range(3))
LABELS = labels_digest(BOXES)
EVERYTHING: Split = "train"
MEGABYTE = 1_000_000


async def figures(folder: Path) -> list[Figure]:
    """Fill a view, build in a process of its own, and say what was seen."""
    view = folder / "annotations.sqlite"
    await asyncio.to_thread(_fill, view)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.manifest", str(view), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await child.communicate()
    if child.returncode:
        raise RuntimeError(f"the building process ended with {child.returncode}")
    seen = Seen(**json.loads(said))
    return [
        Figure("annotations", ANNOTATIONS, ""),
        Figure("samples", seen.samples, ""),
        Figure("from the filled view and index to the stored manifest", seen.built_s + seen.stored_s, "s", 60),
        Figure("of that, building", seen.built_s, "s"),
        Figure("of that, writing", seen.stored_s, "s"),
        Figure("memory of the whole process, at its peak", seen.peak_bytes / MEGABYTE, "MB", 1000),
        Figure("memory before it builds: interpreter and index", seen.before_bytes / MEGABYTE, "MB"),
        Figure("the stored manifest", seen.stored_bytes / MEGABYTE, "MB"),
        Figure("reading it back", seen.read_s, "s"),
        Figure("folding the batches into the index", seen.folded_s, "s"),
    ]


@dataclass(frozen=True)
class Seen:
    """What the building process saw."""

    samples: int
    folded_s: float
    before_bytes: int
    built_s: float
    stored_s: float
    stored_bytes: int
    read_s: float
    peak_bytes: int


async def _build(path: Path) -> Seen:
    view, index, blobs = AnnotationView(path), BatchIndex(), MemoryBlobs()
    began = time.perf_counter()
    for offset, envelope in enumerate(_batches()):
        index.fold(offset, envelope)
    folded_s = time.perf_counter() - began
    before_bytes = _memory("VmRSS")
    began = time.perf_counter()
    built = await build(view, index, DatasetPlan(PROJECT, ANNOTATIONS - 1, RECIPE, SCHEMA))
    built_s = time.perf_counter() - began
    reference = await store(blobs, built)
    stored_s = time.perf_counter() - began - built_s
    peak_bytes = _memory("VmHWM")  # reading it back is what others do, who have no index
    samples = len(built.manifest)
    del built
    parquet = (await blobs.get(keys.dataset(PROJECT, reference.id, "manifest.parquet"))).data
    began = time.perf_counter()
    again = await asyncio.to_thread(Manifest.from_parquet, parquet)
    read_s = time.perf_counter() - began
    if len(again) != samples or again.id != reference.id:
        raise RuntimeError("what was read back is not what was built")
    view.close()
    return Seen(samples, folded_s, before_bytes, built_s, stored_s, len(parquet), read_s, peak_bytes)


def _fill(path: Path) -> None:
    view = AnnotationView(path)
    for number in range(ANNOTATIONS):
        event = AnnotationSettled(
            input=Position(stream="annotations", offset=number),
            message_key=f"{number}",
            wire="native",
            outcomes=(_recorded(number),),
        )
        envelope = Envelope.of(event, source="annotation-ingest", answers=f"{number}", project=PROJECT)
        view.apply(number, envelope)
    view.close()


def _recorded(number: int) -> Outcome:
    digest = _image(number)
    image = ImageRef(
        key=keys.image(PROJECT, digest, "jpg"),
        sha256=digest,
        size_bytes=200_000,
        format="jpeg",
        width=1920,
        height=1080,
    )
    annotation = Annotation(
        image=image,
        medium=f"film-{number // OF_A_MEDIUM}.mp4",
        split=EVERYTHING,
        shapes=BOXES,
        labels=LABELS,
        schema_digest=SCHEMA.digest,
    )
    return Outcome(name=f"frame-{number:07}", outcome="recorded", revision=1, validated=True, annotation=annotation)


def _batches() -> Iterator[Envelope]:
    for first in range(0, ANNOTATIONS, OF_A_BATCH):
        last = min(first + OF_A_BATCH, ANNOTATIONS) - 1
        event = BatchAugmented(
            input=Range(stream=ANNOTATION_EVENTS, first=first, last=last),
            recipe=RECIPE,
            archive=FileRef(
                key=keys.archive(PROJECT, sha256_hex(f"archive {first}".encode())),
                sha256=sha256_hex(f"content {first}".encode()),
                size_bytes=OF_A_BATCH * 8 * 200_000,
            ),
            members=tuple(_member(number) for number in range(first, last + 1)),
        )
        yield Envelope.of(event, source="augmenter", answers=f"{first}", project=PROJECT)


def _member(number: int) -> Member:
    digest = _image(number)
    stem = f"{digest[:16]}-{LABELS[:8]}"
    variants = tuple(
        Variant(variant=n, image_path=f"{stem}_{n}.jpg", sha256=sha256_hex(f"{number} {n}".encode()), boxes=3)
        for n in range(VARIANTS + 1)
    )
    name = f"frame-{number:07}"
    return Member(name=name, image=digest, labels=LABELS, offset=number, variants=variants, phash=digest[-16:])


def _image(number: int) -> str:
    return sha256_hex(f"image {number}".encode())


def _memory(line: str) -> int:
    """Return what Linux says of this process's memory: VmRSS now, VmHWM at its peak."""
    for said in Path("/proc/self/status").read_text().splitlines():
        if said.startswith(f"{line}:"):
            return int(said.split()[1]) * 1024
    raise RuntimeError(f"the system does not say {line}: this benchmark needs Linux")


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(_build(Path(sys.argv[1]))))))
