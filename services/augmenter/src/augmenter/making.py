"""Makes archives: reads the images, has them rendered, writes one tar."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from augmenter import metrics
from augmenter.domain import Sample, archive_digest
from augmenter.recipe import Recipe
from augmenter.rendering import Modes, Rendering
from augmenter.room import Room
from augmenter.store import Store
from labelstream import keys
from labelstream.errors import Rejected
from labelstream.events.annotation import ImageRef
from labelstream.labels import Shape
from labelstream.values import FileRef, sha256_hex
from labelstream_datasets.archives.contents import ArchiveWriter, Contents, contents_of

AHEAD = 4  # images for each process: one in it, two ready for it, one that is read
PIXELS_IN_A_BYTE = 4  # of a JPEG of a photo at the default quality, at least


class Renderer(Protocol):
    """Makes variants of images, several at a time."""

    workers: int

    async def render(
        self, encoded: bytes, image: ImageRef, shapes: tuple[Shape, ...], recipe: Recipe, modes: Modes
    ) -> Rendering:
        """Return the variants and the original's perceptual hash. Raises Rejected for a bad image."""
        ...


@dataclass(frozen=True)
class Order:
    """An archive that is to be made. Names and offsets of its samples are not its business."""

    project: str
    recipe: Recipe
    samples: tuple[Sample, ...]
    traceparent: str = field(default="", compare=False)  # of what it is made for

    @property
    def digest(self) -> str:
        """What the archive is called by."""
        return archive_digest(self.samples, self.recipe.digest)

    @property
    def key(self) -> str:
        """Where the archive is to lie."""
        return keys.archive(self.project, self.digest)

    @property
    def size_bytes(self) -> int:
        """How much memory its making takes, roughly: originals, copies of them, and variants.

        A variant is about as large as its original, or as photos with so many pixels are: some formats pack closer.
        """
        return sum(_size_bytes(sample.image) for sample in self.samples) * memory_factor(self.recipe)


@dataclass(frozen=True)
class Shelved:
    """What an archive holds and where it is; nowhere when it holds no image."""

    contents: Contents
    file: FileRef | None
    new: bool = False  # stored by this very call


class Maker(Protocol):
    """Makes archives, several at a time, each once: what is stored first stands."""

    async def make(self, order: Order) -> Shelved:
        """Return when the archive is stored. Bad samples are left out, and named in the contents."""
        ...


def _size_bytes(image: ImageRef) -> int:
    return max(image.size_bytes, image.width * image.height // PIXELS_IN_A_BYTE)


def memory_factor(recipe: Recipe) -> int:
    """Return how many times the size of its originals the making of an archive takes."""
    return recipe.count + 2


@dataclass
class Workshop:
    """Makes archives with the processes of this machine, as many at a time as there is room for."""

    store: Store
    renderer: Renderer
    room: Room
    _places: asyncio.Semaphore = field(init=False)  # of images that are in memory beside the archives

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.renderer.workers * AHEAD)

    async def make(self, order: Order) -> Shelved:
        """Return what is stored under the order's name; it is made unless it is there."""
        async with self.room.taken(order.size_bytes):
            stored = await self.store.read(order.key) if await self.store.keep(order.key) else None
            if stored is None:
                writer = ArchiveWriter(order.recipe.digest)
                await self._fill(writer, order)
                contents, made = await asyncio.to_thread(writer.finish)
                if made is None:
                    return Shelved(contents, None)
                stored = await self.store.create(order.key, made)
                if stored is made:
                    return Shelved(contents, writer.stored_as(order.key), new=True)
            contents = await asyncio.to_thread(contents_of, stored)
            return Shelved(contents, await asyncio.to_thread(FileRef.of, order.key, stored))

    async def _fill(self, writer: ArchiveWriter, order: Order) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = deque(group.create_task(self._rendered(order.recipe, sample)) for sample in order.samples)
            for sample in order.samples:
                rendered = await tasks.popleft()
                if isinstance(rendered, Rejected):
                    writer.leave_out(*sample.content, f"{rendered.rule}: {rendered.reason}")
                else:
                    await asyncio.to_thread(_add, writer, sample, *rendered)
                del rendered  # its bytes are in the archive

    async def _rendered(self, recipe: Recipe, sample: Sample) -> tuple[bytes, Rendering] | Rejected:
        """Return the original's bytes and what was made of it, or why not: a bad sample never stops the others."""
        modes = {(plain, mode): to for plain, mode, to in sample.modes}
        async with self._places:
            with metrics.RENDERING.track_inprogress():
                try:
                    encoded = await self._image(sample.image)
                    return encoded, await self.renderer.render(encoded, sample.image, sample.shapes, recipe, modes)
                except Rejected as error:
                    return error

    async def _image(self, image: ImageRef) -> bytes:
        encoded = await self.store.read(image.key)
        if encoded is None:
            raise Rejected("image.missing", f"the store has no {image.key}: it was erased, or lost", "Send it again.")
        if await asyncio.to_thread(sha256_hex, encoded) != image.sha256:
            raise Rejected("image.changed", f"{image.key} has another digest than recorded", "Restore the object.")
        return encoded


def _add(writer: ArchiveWriter, sample: Sample, encoded: bytes, made: Rendering) -> None:
    variants = [(encoded, sample.shapes), *((one.image, one.shapes) for one in made.variants)]
    digests = [sample.image.sha256, *(one.sha256 for one in made.variants)]
    writer.add(sample.image, sample.labels, variants, made.phash, digests)
