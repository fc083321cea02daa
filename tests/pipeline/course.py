"""One course of the whole pipeline: annotations are pushed, and in the end a model answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from labelstream.events.annotation import AnnotationSettled
from labelstream.events.model import ModelExported, ModelPromoted
from labelstream.events.serving import ModelActivated
from labelstream.events.training import TrainingFinished, TrainingRequested
from labelstream.producer import Producer
from labelstream.streams.message import Message
from labelstream_local.stack import Options, Stack

from .drawing import CLASSES, GOOD, the_push
from .watching import Onlooker

MIN_NEW = GOOD - 6  # the policy is met before the push is over: the cut is not its end
RECIPE = {"architecture": "small", "image_size": 64, "epochs": 3, "batch": 4, "lr0": 0.006, "cache_images": True}
RATIOS = [0.5, 0.25, 0.25]  # of train, val and test
NOBODYS = "tensorrt-fp16-sm_00"  # no GPU has this architecture, so nobody can build the format
SCHEMA = {"name": "shapes", "version": 1, "classes": CLASSES}


def options(directory: Path) -> Options:
    """Return how the tests' stacks are told to work: small batches, a tiny training, little patience."""
    directory.mkdir(parents=True, exist_ok=True)
    recipe, schema = directory / "recipe.yaml", directory / "shapes.json"
    recipe.write_text(yaml.safe_dump(RECIPE))
    schema.write_text(json.dumps(SCHEMA))
    told = {
        "annotation-ingest": {"INGEST__BATCH": 4},
        "augmenter": {"AUGMENTER__BATCH_COUNT": 16, "AUGMENTER__BATCH_AGE_S": 1, "AUGMENTER__WORKERS": 1},
        "trainer": {
            "TRAINER__RECIPE": recipe,
            "TRAINER__MIN_NEW": MIN_NEW,
            "TRAINER__DATASET__RATIOS": RATIOS,
            "TRAINER__LEASE_S": 5,
            "TRAINER__POLL_S": 0.3,
        },
        "exporter": {
            "EXPORTER__FORMATS": json.dumps(["onnx-fp32", NOBODYS]),
            "EXPORTER__ABSENT_S": 1,
            "EXPORTER__CONFIDENCE": 0.02,
            "EXPORTER__MIN_FIRST": 0,
            "EXPORTER__LEASE_S": 5,
            "EXPORTER__POLL_S": 0.3,
        },
        "exporter-work": {"EXPORTER__LEASE_S": 5},
        "exporter-serve": {"EXPORTER__REFUSALS_EVERY_S": 1},
        "inference": {"INFERENCE__GRANT_PATIENCE_S": 3, "INFERENCE__RETRY_MOST_S": 1, "INFERENCE__DRIFT_LEAST": 5},
    }
    variables = {
        service: {f"LABELSTREAM_{name}": str(value) for name, value in group.items()} for service, group in told.items()
    }
    return Options(schemas={"default": str(schema)}, told=variables)


@dataclass(frozen=True)
class Course:
    """What a push led to, as the streams tell it."""

    receipts: list[AnnotationSettled]
    requested: list[TrainingRequested]
    finished: list[TrainingFinished]
    exported: list[ModelExported]
    promoted: list[ModelPromoted]

    def settled(self) -> list[dict[str, Any]]:
        """Return what every message came to, the order of the messages kept."""
        return [receipt.model_dump(exclude={"message_id", "message_key"}) for receipt in self.receipts]

    def asked_to_train(self) -> list[tuple[str, str, str, int, dict[str, int]]]:
        """Return each training that was requested: job, cause, dataset, cut and what the dataset holds."""
        return [
            (each.job, each.cause, each.dataset.id, each.dataset.cut.offset, each.dataset.samples)
            for each in self.requested
        ]


async def push(stack: Stack, messages: Sequence[Message], name: str = "pusher") -> list[AnnotationSettled]:
    """Push messages as one producer; return their receipts, as they came."""
    async with Producer.connect(stack.broker, name=name) as producer:
        for message in messages:
            await producer.publish(message)
        return [receipt async for receipt in producer.receipts()]


async def undisturbed(see: Onlooker) -> Course:
    """Push everything and wait until the model answers."""
    await asyncio.gather(push(see.stack, the_push()), see.heard(ModelActivated))
    return await told(see)


async def told(see: Onlooker) -> Course:
    """Read back what the streams say of a course."""
    return Course(
        receipts=await see.said(AnnotationSettled),
        requested=await see.said(TrainingRequested),
        finished=await see.said(TrainingFinished),
        exported=await see.said(ModelExported),
        promoted=await see.said(ModelPromoted),
    )
