"""The augmenter: from a batch of validated annotations to the event that says where their variants lie."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from augmenter.domain import Batch, Limits, Sample, chunks
from augmenter.making import Maker, Order
from augmenter.recipe import Recipe
from labelstream.events.batch import BatchAugmented, LeftOut, Member, Range, Rewritten, Stayed
from labelstream.events.envelope import Envelope
from labelstream.values import FileRef
from labelstream_datasets.archives.erased import Erasure

SOURCE = "augmenter"
ERASED = "erased: what the annotation showed and said was erased"


@dataclass(frozen=True)
class Augmenter:
    """Turns a batch of validated annotations into archives of variants."""

    maker: Maker
    recipe: Recipe
    limits: Limits

    async def handle(self, batch: Batch, rewritten: tuple[Rewritten, ...] = ()) -> Envelope:
        """Have the archives made and say so, with what was `rewritten`; the same batch again gives the same ones."""
        archives: list[FileRef] = []
        members: list[Member] = []
        left_out = [_erased(sample) for sample in batch.erased_samples]
        newest, *others = batch.traces or ("",)
        dealt = list(chunks(batch.samples, self.limits))
        async with asyncio.TaskGroup() as group:
            making = [
                group.create_task(self.maker.make(Order(batch.project, self.recipe, chunk, newest))) for chunk in dealt
            ]
        for chunk, shelved in zip(dealt, (task.result() for task in making), strict=True):
            by_content = {sample.content: sample for sample in chunk}
            for made in shelved.contents.made:
                sample = by_content[made.image, made.labels]
                said = made.model_dump(include={"image", "labels", "phash"})
                named = {"name": sample.name, "offset": sample.offset, "archive": len(archives)}
                members.append(Member(**said, **named, variants=made.variants))
            for missing in shelved.contents.missing:
                sample = by_content[missing.image, missing.labels]
                left_out.append(LeftOut(name=sample.name, offset=sample.offset, **missing.model_dump()))
            archives += [shelved.file] if shelved.file else []
        event = BatchAugmented(
            input=Range(stream=batch.stream, first=batch.first, last=batch.last),
            recipe=self.recipe.digest,
            archive=archives[0] if archives else None,
            more_archives=tuple(archives[1:]),
            members=tuple(members),
            left_out=tuple(left_out),
            erased_images=tuple(sorted(batch.erasure.images)),
            stayed=tuple(_stayed(batch.erasure)),
            rewritten=rewritten,
        )
        answers = f"{self.recipe.digest}/{batch.first}-{batch.last}"
        return Envelope.of(
            event, source=SOURCE, answers=answers, project=batch.project, traceparent=newest, links=others
        )


def _stayed(erasure: Erasure) -> Iterator[Stayed]:
    for image, labels in sorted(erasure.stayed.items()):
        yield Stayed(image=image, labels=tuple(sorted(labels)))


def _erased(sample: Sample) -> LeftOut:
    return LeftOut(
        name=sample.name, offset=sample.offset, image=sample.image.sha256, labels=sample.labels, reason=ERASED
    )
