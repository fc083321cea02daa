"""How an order for an archive travels to a worker, and what the worker leaves."""

from __future__ import annotations

from typing import Any

from augmenter.domain import Mode, Sample
from augmenter.making import Order
from augmenter.recipe import Recipe
from labelstream.events.annotation import ImageRef
from labelstream.jobs.ports import Job
from labelstream.labels import Shape
from labelstream.values import FileRef, Sha256, Value, digest_of
from labelstream_datasets.archives.contents import Contents

QUEUE = "jobs.augment"


class OrderedSample(Value):
    """What a worker must know of a sample."""

    image: ImageRef
    labels: Sha256
    shapes: tuple[Shape, ...]
    modes: tuple[Mode, ...] = ()


class ArchiveOrder(Value):
    """What a job asks for."""

    digest: Sha256  # what the archive is called by
    recipe_digest: Sha256  # of the recipe with the decider's libraries
    recipe: dict[str, Any]
    samples: tuple[OrderedSample, ...]


class ArchiveLeft(Value):
    """What a finished attempt leaves for the decider."""

    contents: Contents
    file: FileRef | None = None


def job_of(order: Order) -> Job:
    """Return the order as a job.

    It is called by the archive and by the offset of its first sample: what is recorded again after an erasure is
    made again, also where the archive had the same name before.
    """
    samples = tuple(
        OrderedSample(image=one.image, labels=one.labels, shapes=one.shapes, modes=one.modes) for one in order.samples
    )
    asked = ArchiveOrder(
        digest=order.digest,
        recipe_digest=order.recipe.digest,
        recipe=order.recipe.model_dump(mode="json"),
        samples=samples,
    )
    first = order.samples[0].offset
    return Job(
        project=order.project,
        id=digest_of([order.digest, first]),
        payload=asked.model_dump(mode="json"),
        traceparent=order.traceparent,
    )


def order_of(project: str, asked: ArchiveOrder) -> Order:
    """Return what a job asks for, as this worker reads it."""
    samples = (
        Sample(name="", offset=0, image=one.image, labels=one.labels, shapes=one.shapes, modes=one.modes)
        for one in asked.samples
    )
    return Order(project, Recipe.model_validate(asked.recipe), tuple(samples))
