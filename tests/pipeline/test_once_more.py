"""The same again changes nothing: no annotation, no dataset, no training."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from labelstream.classes import ClassSchema
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS
from labelstream.events.batch import BatchAugmented
from labelstream.events.envelope import Envelope
from labelstream.events.training import TrainingRequested
from labelstream.jobs.ports import Job
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.service.health import Health
from labelstream.streams.amqp import decode
from labelstream.view import AnnotationView
from labelstream_datasets.building.build import DatasetPlan, build
from labelstream_datasets.building.index import BatchIndex
from labelstream_datasets.options import DatasetOptions
from trainer.handler import REQUESTS

from .conftest import Reference
from .course import RATIOS, SCHEMA, push
from .drawing import GOOD, shots
from .watching import Onlooker, eventually

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest_asyncio.fixture
async def queue(reference: Reference) -> AsyncIterator[RabbitJobQueue]:
    queue = RabbitJobQueue(reference.stack.broker, Health(), "once-more")
    yield queue
    await queue.close()


async def _dataset_id(see: Onlooker, cut: int, scratch: Path) -> str:
    """Build the dataset of a cut anew, from what the streams say."""
    view, index = AnnotationView(scratch / f"{cut}.sqlite"), BatchIndex()
    for stream, fold in ((ANNOTATION_EVENTS, view.apply), (BATCH_EVENTS, index.fold)):
        for delivery in await see.raw(stream):
            envelope = Envelope.from_message(decode(delivery.raw))
            assert envelope is not None
            fold(delivery.offset, envelope)
    recipe = index.recipe("default")
    assert recipe is not None
    options = DatasetOptions.model_validate({"ratios": RATIOS})
    plan = DatasetPlan("default", cut, recipe, ClassSchema(**SCHEMA), options)
    built = await build(view, index, plan)
    view.close()
    return built.description.id


async def test_the_same_annotations_again_are_duplicates_and_make_no_new_dataset(
    see: Onlooker, reference: Reference, tmp_path: Path
) -> None:
    before = await see.end(ANNOTATION_EVENTS) - 1
    trainings = await see.said(TrainingRequested)
    receipts = await push(see.stack, [one.message() for one in shots()], name="once-more")
    assert [outcome.outcome for receipt in receipts for outcome in receipt.outcomes] == ["duplicated"] * GOOD
    assert all(receipt.outcomes[0].repeats is not None for receipt in receipts)

    after = await see.end(ANNOTATION_EVENTS) - 1
    await see.heard(BatchAugmented, lambda batch: batch.input.last >= after)
    assert after == before + GOOD
    assert await _dataset_id(see, after, tmp_path) == await _dataset_id(see, before, tmp_path)
    (requested,) = reference.course.requested
    assert await _dataset_id(see, requested.dataset.cut.offset, tmp_path) == requested.dataset.id
    assert await see.said(TrainingRequested) == trainings


async def test_asking_for_the_training_that_was_done_trains_nothing(
    see: Onlooker, reference: Reference, queue: RabbitJobQueue
) -> None:
    trainings = await see.said(TrainingRequested)
    cut = reference.course.requested[0].dataset.cut.offset
    log = see.stack.layout.log("trainer")
    known = log.read_text().count("training.known")
    await queue.put(REQUESTS, Job(project="default", id="once-more", payload={"cut": cut}))
    await eventually(lambda: log.read_text().count("training.known") > known)
    assert await see.said(TrainingRequested) == trainings
