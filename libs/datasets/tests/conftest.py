"""A stream of receipts, and archives as an augmenter would answer it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest

from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.classes import ClassSchema
from labelstream.events.annotation import Annotation, AnnotationErased, AnnotationSettled, ImageRef, Outcome
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.batch import BatchAugmented, LeftOut, Member, Range, Rewritten, Variant
from labelstream.events.envelope import Envelope
from labelstream.labels import Box, Shape, labels_digest, yolo_lines
from labelstream.values import FileRef, Position, digest_of, sha256_hex
from labelstream.view import AnnotationView
from labelstream_datasets.building.build import BuiltDataset, DatasetPlan, assemble, build
from labelstream_datasets.building.index import BatchIndex

RECIPE = "a" * 64
VARIANTS = 3
SCHEMA = ClassSchema(name="scenes", classes=("car", "truck", "person"))


@dataclass
class Scribe:
    """Writes receipts and remembers which contents they validate."""

    view: AnnotationView
    offset: int = -1
    contents: dict[int, list[tuple[str, Annotation]]] = field(default_factory=dict)

    def settle(self, *outcomes: Outcome) -> int:
        """Write a receipt; return its offset. Offsets have gaps, as a broker's have."""
        self.offset += 2 if self.offset % 3 == 0 else 1
        event = AnnotationSettled(
            input=Position(stream="annotations", offset=self.offset),
            message_key=f"{self.offset}",
            wire="native",
            outcomes=outcomes,
        )
        self.view.apply(self.offset, Envelope.of(event, source="t", answers=f"{self.offset}", project="default"))
        for outcome in outcomes:
            if outcome.validated and outcome.name:
                entry = self.view.entry("default", outcome.name, at=self.offset)
                assert entry is not None
                self.contents.setdefault(self.offset, []).append((outcome.name, entry.annotation))
        return self.offset

    def record(self, name: str, image: int, medium: str = "m", **how: Any) -> int:
        """Record (or edit: `outcome="edited"`) an annotation of the image `image`."""
        drawn = annotation(image, medium, how.get("shapes"), how.get("split"))
        return self.settle(
            Outcome(
                name=name,
                outcome=how.get("outcome", "recorded"),
                revision=1,
                validated=how.get("validated", True),
                annotation=drawn,
            )
        )

    def erase(self, name: str, *images: int) -> int:
        """Erase an annotation and its images; return the offset."""
        self.offset += 1
        event = AnnotationErased(
            input=Position(stream="annotations", offset=self.offset),
            message_key=f"{self.offset}",
            names=(name,),
            images=tuple(sha256_hex(f"image {image}".encode()) for image in images),
        )
        self.view.apply(self.offset, Envelope.of(event, source="t", answers=f"{self.offset}", project="default"))
        return self.offset

    def say(self, name: str, outcome: Any, *, validated: bool = False) -> int:
        """Validate, unvalidate or delete an annotation."""
        return self.settle(Outcome(name=name, outcome=outcome, revision=2, validated=validated))


def annotation(image: int, medium: str, shapes: Sequence[Shape] | None = None, split: Any = None) -> Annotation:
    """Make the annotation of an image that is only bytes: nobody here looks at pixels."""
    encoded = f"image {image}".encode()
    digest = sha256_hex(encoded)
    drawn = tuple(shapes if shapes is not None else [Box(class_id=image % 3, x=0.5, y=0.5, w=0.2, h=0.1)])
    return Annotation(
        image=ImageRef(
            key=f"default/images/{digest}.jpg", sha256=digest, size_bytes=len(encoded), format="jpeg", width=8, height=8
        ),
        medium=medium,
        split=split,
        shapes=drawn,
        labels=labels_digest(drawn),
        schema_digest=SCHEMA.digest,
    )


@dataclass
class Archivist:
    """Answers ranges of receipts with archives, as an augmenter would."""

    blobs: MemoryBlobs = field(repr=False)
    recipe: str = RECIPE
    unwilling: set[str] = field(default_factory=set)  # names that can't be augmented

    async def answer(self, scribe: Scribe, cuts: Sequence[int] = ()) -> list[Envelope]:
        """Return one event for each batch; batches end at `cuts` and at the last offset."""
        ends = sorted({-1, scribe.offset, *(cut for cut in cuts if 0 <= cut <= scribe.offset)})
        done: set[tuple[str, str]] = set()
        return [await self._batch(scribe, first + 1, last, done) for first, last in pairwise(ends)]

    async def _batch(self, scribe: Scribe, first: int, last: int, done: set[tuple[str, str]]) -> Envelope:
        files: dict[str, bytes] = {}
        members: list[Member] = []
        left_out: list[LeftOut] = []
        for offset, name, content in _between(scribe, first, last):
            image, labels = content.image.sha256, content.labels
            if name in self.unwilling:
                left_out.append(LeftOut(name=name, image=image, labels=labels, offset=offset, reason="no"))
            elif (image, labels) not in done:
                done.add((image, labels))
                variants = tuple(_variants(content, files))
                members.append(
                    Member(name=name, image=image, labels=labels, offset=offset, variants=variants, phash=image[-16:])
                )
        archive = await self._store(files) if members else None
        event = BatchAugmented(
            input=Range(stream=ANNOTATION_EVENTS, first=first, last=last),
            recipe=self.recipe,
            archive=archive,
            members=tuple(members),
            left_out=tuple(left_out),
        )
        return Envelope.of(event, source="augmenter", answers=f"{first}", project="default")

    async def erased(self, first: int, last: int, images: Sequence[int], before: Sequence[Envelope]) -> Envelope:
        """Answer a range that ends with the erasure of `images`, which stand in the archives of `before`."""
        gone = {sha256_hex(f"image {image}".encode()) for image in images}
        rewritten = []
        for batch in before:
            assert isinstance(batch.event, BatchAugmented)
            archive = batch.event.archive
            if archive is not None and gone & {member.image for member in batch.event.members}:
                rewritten.append(await self._rewritten(archive.key, gone))
        event = BatchAugmented(
            input=Range(stream=ANNOTATION_EVENTS, first=first, last=last),
            recipe=self.recipe,
            erased_images=tuple(gone),
            rewritten=tuple(rewritten),
        )
        return Envelope.of(event, source="augmenter", answers=f"{first}", project="default")

    async def _rewritten(self, key: str, gone: set[str]) -> Rewritten:
        with tarfile.open(fileobj=io.BytesIO((await self.blobs.get(key)).data)) as tar:
            names = [name for name in tar.getnames() if name[:16] not in {image[:16] for image in gone}]
            files = {name: tar.extractfile(name).read() for name in names}  # type: ignore[union-attr]
        said = Rewritten(archive=key, by=await self._store(files) if files else None)
        await self.blobs.put(keys.forwarding(key), said.model_dump_json().encode())
        await self.blobs.delete(key)
        return said

    async def _store(self, files: dict[str, bytes]) -> FileRef:
        buffer = io.BytesIO()
        with tarfile.open(mode="w", fileobj=buffer) as tar:
            for name, data in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        data = buffer.getvalue()
        file = FileRef.of(keys.archive("default", digest_of([self.recipe, sorted(files)])), data)
        await self.blobs.put(file.key, data)
        return file


def _between(scribe: Scribe, first: int, last: int) -> Iterator[tuple[int, str, Annotation]]:
    for offset in range(first, last + 1):
        for name, content in scribe.contents.get(offset, []):
            yield offset, name, content


def _variants(content: Annotation, files: dict[str, bytes]) -> Iterator[Variant]:
    for number in range(VARIANTS):
        stem = f"{content.image.sha256[:16]}-{content.labels[:8]}_{number}"
        image = f"{stem} as pixels".encode()
        files[f"{stem}.jpg"] = image
        files[f"{stem}.txt"] = yolo_lines(content.shapes).encode()
        yield Variant(variant=number, image_path=f"{stem}.jpg", sha256=sha256_hex(image), boxes=len(content.shapes))


@pytest.fixture
def scribe(tmp_path: Path) -> Iterator[Scribe]:
    view = AnnotationView(tmp_path / "view.sqlite")
    yield Scribe(view)
    view.close()


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def archivist(blobs: MemoryBlobs) -> Archivist:
    return Archivist(blobs)


def dataset(scribe: Scribe, batches: Sequence[Envelope], cut: int | None = None, **how: Any) -> BuiltDataset:
    index = BatchIndex()
    for offset, batch in enumerate(batches):
        index.fold(offset, batch)
    at = scribe.offset if cut is None else cut
    plan = DatasetPlan("default", at, RECIPE, SCHEMA, **how)
    return assemble(scribe.view.validated("default", at=at), index, plan)


@pytest.fixture
def build_now() -> Callable[..., BuiltDataset]:
    """Fold batches and build, as of a cut (now, if not given)."""
    return dataset


async def built(
    scribe: Scribe, batches: Sequence[Envelope], blobs: MemoryBlobs, cut: int | None = None, **how: Any
) -> BuiltDataset:
    index = BatchIndex()
    for offset, batch in enumerate(batches):
        index.fold(offset, batch)
    at = scribe.offset if cut is None else cut
    return await build(scribe.view, index, DatasetPlan("default", at, RECIPE, SCHEMA, **how), blobs)


@pytest.fixture
def build_all(blobs: MemoryBlobs) -> Callable[..., Awaitable[BuiltDataset]]:
    """Fold batches and build with whatever options, as of a cut (now, if not given)."""
    return partial(built, blobs=blobs)


async def keep_images(blobs: MemoryBlobs, numbers: Iterable[int]) -> None:
    for number in numbers:
        drawn = annotation(number, "m")
        await blobs.put(drawn.image.key, f"image {number}".encode())


@pytest.fixture
def stored_images(blobs: MemoryBlobs) -> Callable[[Iterable[int]], Awaitable[None]]:
    """Store the originals of these numbers, as ingest would have."""
    return partial(keep_images, blobs)


@dataclass(frozen=True)
class World:
    """A stream of its own, and what answers it."""

    scribe: Scribe
    archivist: Archivist

    async def build(self, cuts: Sequence[int] = (), cut: int | None = None, **how: Any) -> BuiltDataset:
        """Answer everything in batches that end at `cuts`, and build."""
        batches = await self.archivist.answer(self.scribe, cuts)
        return await built(self.scribe, batches, self.archivist.blobs, cut, **how)

    async def keep_images(self, numbers: Iterable[int]) -> None:
        """Store the originals of these numbers, as ingest would have."""
        await keep_images(self.archivist.blobs, numbers)


@pytest.fixture
def begin(tmp_path: Path) -> Callable[[], AbstractContextManager[World]]:
    """Begin with nothing, as often as one likes."""
    numbers = count()

    @contextmanager
    def beginning() -> Iterator[World]:
        view = AnnotationView(tmp_path / f"view-{next(numbers)}.sqlite")
        yield World(Scribe(view), Archivist(MemoryBlobs()))
        view.close()

    return beginning
