"""What workers do in these tests, and what they leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import orjson

from labelstream.events.model import ModelEvent, ModelExported, ModelPromoted
from labelstream.events.training import Metrics
from labelstream.jobs.worker import Attempt
from labelstream.values import FileRef, Position, Split
from trainer.engine.contract import Progress, Recovery
from trainer.orders import PROGRESS, RECOVERIES, TrainingLeft

METRICS = Metrics(map50=0.9, map50_95=0.7, precision=0.9, recall=0.8, images=5)
TOO_FEW: tuple[Split, ...] = ("train", "val", "test", "test")
ALL = ("requested", "started", "progressed", "progressed", "finished")


def epoch(number: int, epochs: int = 2) -> Progress:
    return Progress(
        epoch=number, epochs=epochs, losses={"box": 1.0}, map50=0.5, map50_95=0.3, seconds=1, eta_s=1, images_per_s=9
    )


def recovery(rule: str, epoch: int) -> Recovery:
    return Recovery(epoch=epoch, rule=rule, reason="it happens", batch=8, learning_rate_scale=0.5)


async def write_epochs(attempt: Attempt, epochs: Sequence[int]) -> None:
    await attempt.put(PROGRESS, orjson.dumps([epoch(number).model_dump() for number in epochs]))


async def write_recoveries(attempt: Attempt, recoveries: Sequence[Recovery]) -> None:
    await attempt.put(RECOVERIES, orjson.dumps([each.model_dump() for each in recoveries]))


async def train(attempt: Attempt) -> TrainingLeft:
    """Train two epochs, and leave everything."""
    await write_epochs(attempt, (1, 2))
    return TrainingLeft(
        weights=await attempt.put("weights", b"w"),
        architecture=await attempt.put("architecture", b"a"),
        best_epoch=2,
        validation=METRICS,
        test=METRICS,
        epochs=2,
        seconds=4.0,
        report=await attempt.put("report.html", b"<html>"),
    )


def promoted(model: str, job: str) -> Iterator[ModelEvent]:
    """What the exporter says of a model that serves from now on."""
    file = FileRef.of("m", b"m")
    position = Position(stream="training-events", offset=1)
    yield ModelExported(
        model=model, input=position, job=job, dataset_id="d", manifest=file, signature=file, artifacts=(), test=METRICS
    )
    yield ModelPromoted(
        model=model, number=1, manifest=file, signature=file, statement="s", statement_signature="s", reason="first"
    )
