"""The augmenter: from a batch of validated annotations to the event that says where their variants lie."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from augmenter.domain import Batch, Limits, Sample, archive_digest, chunks
from augmenter.recipe import Recipe
from augmenter.rendering import Modes, Rendering
from augmenter.store import Store
from labelstream import keys
from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected
from labelstream.events.annotation import ImageRef
from labelstream.events.batch import BatchAugmented, LeftOut, Member, Range, Rewritten
from labelstream.events.envelope import Envelope
from labelstream.labels import Shape
from labelstream.service.health import Health
from labelstream.values import FileRef, sha256_hex
from labelstream_datasets.archive import ArchiveWriter, Contents, contents_of

SOURCE = "augmenter"
ERASED = "erased: what the annotation showed and said was erased"


class Renderer(Protocol):
    """Makes variants of images, several at a time."""

    workers: int

    async def render(
        self, encoded: bytes, image: ImageRef, shapes: tuple[Shape, ...], recipe: Recipe, modes: Modes
    ) -> Rendering:
        """Return the variants and the original's perceptual hash. Raises Rejected for a bad image."""
        ...


@dataclass(frozen=True)
class Augmenter:
    """Turns a batch of validated annotations into archives of variants."""

    blobs: Blobs
    renderer: Renderer
    recipe: Recipe
    limits: Limits
    health: Health

    @property
    def store(self) -> Store:
        """The store, which is waited for."""
        return Store(self.blobs, self.health)

    async def handle(self, batch: Batch, rewritten: tuple[Rewritten, ...] = ()) -> Envelope:
        """Write the archives and say so, with what was `rewritten`; the same batch again gives the same archives."""
        archives: list[FileRef] = []
        members: list[Member] = []
        left_out = [_erased(sample) for sample in batch.erased_samples]
        for chunk in chunks(batch.samples, self.limits):
            contents, stored = await self._archive(batch.project, chunk)
            by_content = {sample.content: sample for sample in chunk}
            for made in contents.made:
                sample = by_content[made.image, made.labels]
                members.append(
                    Member(
                        name=sample.name,
                        image=made.image,
                        labels=made.labels,
                        offset=sample.offset,
                        archive=len(archives),
                        variants=made.variants,
                    )
                )
            for missing in contents.missing:
                sample = by_content[missing.image, missing.labels]
                left_out.append(LeftOut(name=sample.name, offset=sample.offset, **missing.model_dump()))
            archives += [stored] if stored else []
        event = BatchAugmented(
            input=Range(stream=batch.stream, first=batch.first, last=batch.last),
            recipe=self.recipe.digest,
            archive=archives[0] if archives else None,
            more_archives=tuple(archives[1:]),
            members=tuple(members),
            left_out=tuple(left_out),
            erased_images=batch.erased_images,
            rewritten=rewritten,
        )
        answers = f"{self.recipe.digest}/{batch.first}-{batch.last}"
        return Envelope.of(event, source=SOURCE, answers=answers, project=batch.project)

    async def _archive(self, project: str, samples: tuple[Sample, ...]) -> tuple[Contents, FileRef | None]:
        """Return what the archive of these samples holds and where it is; what is stored first stands."""
        key = keys.archive(project, archive_digest(samples, self.recipe.digest))
        stored = await self.store.read(key)
        if stored is None:
            contents, made = await self._make(samples)
            if made is None:
                return contents, None
            stored = await self.store.create(key, made)
        digest = await asyncio.to_thread(sha256_hex, stored)
        return contents_of(stored), FileRef(key=key, sha256=digest, size_bytes=len(stored))

    async def _make(self, samples: tuple[Sample, ...]) -> tuple[Contents, bytes | None]:
        writer = ArchiveWriter(self.recipe.digest)
        room = asyncio.Semaphore(self.renderer.workers * 2)  # images in memory beside the archive
        async with asyncio.TaskGroup() as group:
            tasks = deque(group.create_task(self._rendered(sample, room)) for sample in samples)
            for sample in samples:
                rendered = await tasks.popleft()
                if isinstance(rendered, Rejected):
                    writer.leave_out(*sample.content, f"{rendered.rule}: {rendered.reason}")
                else:
                    encoded, made = rendered
                    variants = [(encoded, sample.shapes), *((one.image, one.shapes) for one in made.variants)]
                    writer.add(sample.image, sample.labels, variants, made.phash)
        return await asyncio.to_thread(writer.finish)

    async def _rendered(self, sample: Sample, room: asyncio.Semaphore) -> tuple[bytes, Rendering] | Rejected:
        """Return the original's bytes and what was made of it, or why there are none: a bad sample never stops the others."""
        async with room:
            try:
                encoded = await self._image(sample.image)
                return encoded, await self.renderer.render(encoded, sample.image, sample.shapes, self.recipe, {})
            except Rejected as error:
                return error

    async def _image(self, image: ImageRef) -> bytes:
        encoded = await self.store.read(image.key)
        if encoded is None:
            raise Rejected("image.missing", f"the store has no {image.key}: it was erased, or lost", "Send it again.")
        if sha256_hex(encoded) != image.sha256:
            raise Rejected("image.changed", f"{image.key} has another digest than recorded", "Restore the object.")
        return encoded


def _erased(sample: Sample) -> LeftOut:
    return LeftOut(
        name=sample.name, offset=sample.offset, image=sample.image.sha256, labels=sample.labels, reason=ERASED
    )
