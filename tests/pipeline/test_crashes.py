"""Each service is killed once in the middle of its work; the supervisor starts it again, and nothing differs."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from labelstream.blobs.s3 import S3Blobs
from labelstream.events.annotation import AnnotationSettled
from labelstream.events.batch import BatchAugmented
from labelstream.events.model import ModelExported, ModelPromoted
from labelstream.events.serving import ModelActivated
from labelstream.events.training import TrainingFinished, TrainingProgressed
from labelstream.producer import Producer
from labelstream.service.health import Health
from labelstream_local.services import NAMES
from labelstream_local.stack import Stack, down, up

from .conftest import Reference
from .course import options, told
from .drawing import shot, the_push
from .watching import PATIENCE_S, Onlooker, all_ready, eventually, onlooker, predict, strays

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(900)]


async def test_killing_each_service_in_the_middle_gives_the_same_receipts_and_dataset_and_a_served_model(
    reference: Reference, tmp_path: Path
) -> None:
    try:
        stack = await asyncio.to_thread(up, tmp_path / "stack", options(tmp_path))
        async with onlooker(stack) as see:
            await _with_kills(see)
            await eventually(lambda: all_ready(stack) and strays(stack) == [])
            course = await told(see)
            answer = predict(stack, shot("asked", "asked").image)
        restarted = Counter(line.split("spawned: '")[1].split("'")[0] for line in _spawned(stack))
        assert {name: restarted[name] for name in NAMES} == dict.fromkeys(NAMES, 2)
    finally:
        await asyncio.to_thread(down, tmp_path / "stack")

    undisturbed = reference.course
    assert course.settled() == undisturbed.settled()
    assert course.asked_to_train() == undisturbed.asked_to_train()
    assert [len(each) for each in (course.finished, course.exported, course.promoted)] == [1, 1, 1]
    assert course.finished[0].attempt == 2
    assert (answer["model"], answer["promotion"]) == (course.promoted[0].model, 1)
    assert answer["dataset"] == undisturbed.requested[0].dataset.id
    assert answer["class_schema"] == predict(reference.stack, shot("asked", "asked").image)["class_schema"]


async def _with_kills(see: Onlooker) -> None:
    """Push everything, and kill each service once: the moment it has begun something."""
    stack, messages = see.stack, the_push()
    async with Producer.connect(stack.broker, name="pusher", receipts=False) as producer:

        async def push(part: slice) -> None:
            for message in messages[part]:
                await producer.publish(message)
            await producer.flush()

        await push(slice(0, 14))
        await see.heard(AnnotationSettled)
        stack.kill("annotation-ingest")
        await push(slice(14, 30))
        await see.heard(BatchAugmented)
        stack.kill("augmenter")
        await push(slice(30, None))
    await see.heard(TrainingProgressed)
    stack.kill("trainer")
    await see.heard(TrainingFinished)
    converting = stack.layout.state("exporter-work")
    await eventually(lambda: any(converting.glob("work/jobs/*/out/spec.json")))  # its engine was started
    stack.kill("exporter-work")
    await _stored(stack, "default/model-keys/")  # the bundle is on its way out
    stack.kill("exporter")
    await see.heard(ModelExported)
    stack.kill("exporter-serve")
    await see.heard(ModelPromoted)
    stack.kill("inference")
    stack.kill("inference-annotate")  # nobody asked it for anything
    await see.heard(ModelActivated)


async def _stored(stack: Stack, prefix: str) -> None:
    """Wait until something is in the resources bucket under a prefix."""
    resources = S3Blobs(stack.store, stack.store.resources_bucket, Health())
    found: list[str] = []
    async with asyncio.timeout(PATIENCE_S):
        while not found:
            found = [info.key async for info in resources.list(prefix)]
    await resources.close()


def _spawned(stack: Stack) -> list[str]:
    lines = stack.layout.log("supervisord").read_text().splitlines()
    return [line for line in lines if "spawned: '" in line]
