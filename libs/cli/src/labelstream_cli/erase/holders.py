"""Which datasets and models were made from some annotations."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Collection
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow.parquet as pq

from labelstream import keys
from labelstream.blobs.checked import read_checked
from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected
from labelstream.events.base import MODEL_EVENTS, SERVING_EVENTS, TRAINING_EVENTS, Event
from labelstream.events.model import ModelExported, ModelPromoted, ModelWithdrawn
from labelstream.events.serving import ModelActivated, ModelReverted
from labelstream.events.training import (
    TrainingCancelled,
    TrainingEvent,
    TrainingFailed,
    TrainingFinished,
    TrainingRequested,
)
from labelstream.streams.ports import Broker
from labelstream_cli.reaching import Tell, event_in, not_told, stored
from labelstream_datasets.description import DESCRIPTION, DatasetDescription

ENDINGS: dict[type[Event], str] = {
    TrainingFinished: "finished",
    TrainingFailed: "failed",
    TrainingCancelled: "cancelled",
}


@dataclass(frozen=True)
class HeldDataset:
    """A stored dataset that holds some of the annotations."""

    id: str
    cut: int  # offset of annotation-events
    images: int  # of the annotations


@dataclass
class Training:
    """A training on such a dataset."""

    job: str
    dataset: str
    state: str = "not finished"


@dataclass
class Model:
    """A model made by such a training."""

    id: str
    dataset: str
    in_service: bool = False
    withdrawn: bool = False


@dataclass(frozen=True)
class Holders:
    """Everything that was made from the annotations and stays."""

    datasets: tuple[HeldDataset, ...] = ()
    unreadable: tuple[str, ...] = ()  # keys of datasets that nobody can look into
    trainings: tuple[Training, ...] = ()
    models: tuple[Model, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "datasets": [asdict(one) for one in self.datasets],
            "datasets_unreadable": list(self.unreadable),
            "trainings": [asdict(one) for one in self.trainings],
            "models": [asdict(one) for one in self.models],
        }


async def holders(
    broker: Broker,
    blobs: Blobs,
    project: str,
    names: Collection[str],
    images: Collection[str],
    tell: Tell = not_told,
) -> Holders:
    """Find the datasets with samples of these annotations (and images), and what was trained on them."""
    if not (names and images):  # what only waits for its creation is in no dataset
        return Holders()
    datasets, unreadable = await _datasets(blobs, project, names, images, tell)
    held = {dataset.id for dataset in datasets}
    trainings = await _trainings(broker, project, held, tell)
    models = await _models(broker, project, held, {training.job for training in trainings}, tell)
    return Holders(tuple(datasets), tuple(unreadable), tuple(trainings), tuple(models))


async def _datasets(
    blobs: Blobs, project: str, names: Collection[str], images: Collection[str], tell: Tell
) -> tuple[list[HeldDataset], list[str]]:
    found = [info.key async for info in blobs.list(keys.datasets(project)) if info.key.endswith(f"/{DESCRIPTION}")]
    datasets, unreadable = [], []
    for number, key in enumerate(found, 1):
        try:
            held = await _held(blobs, key, names, images)
        except (Rejected, ValueError):  # pydantic's and pyarrow's errors are ValueErrors
            unreadable.append(key)
        else:
            datasets += [held] if held.images else []
        tell("datasets", number, len(found))
    return sorted(datasets, key=lambda one: one.cut), unreadable


async def _held(blobs: Blobs, key: str, names: Collection[str], images: Collection[str]) -> HeldDataset:
    description = DatasetDescription.from_json((await blobs.get(key)).data)
    if description.manifest is None:
        raise ValueError(f"{key} names no manifest")
    manifest = await read_checked(blobs, description.manifest)
    count = await asyncio.to_thread(_count, manifest, names, images)
    return HeldDataset(description.id, description.cut.offset, count)


def _count(parquet: bytes, names: Collection[str], images: Collection[str]) -> int:
    wanted = [("name", "in", set(names)), ("image", "in", set(images))]
    table = pq.read_table(io.BytesIO(parquet), columns=["image"], filters=wanted)
    return len(table["image"].unique())


async def _trainings(broker: Broker, project: str, datasets: set[str], tell: Tell) -> list[Training]:
    trainings: dict[str, Training] = {}
    async for event in _events(broker, TRAINING_EVENTS, project, tell):
        if isinstance(event, TrainingRequested) and event.dataset.id in datasets:
            trainings.setdefault(event.job, Training(event.job, event.dataset.id))
        if isinstance(event, TrainingEvent) and event.job in trainings:
            trainings[event.job].state = ENDINGS.get(type(event), trainings[event.job].state)
    return list(trainings.values())


async def _models(broker: Broker, project: str, datasets: set[str], jobs: set[str], tell: Tell) -> list[Model]:
    models: dict[str, Model] = {}
    promoted: str | None = None
    async for event in _events(broker, MODEL_EVENTS, project, tell):
        if isinstance(event, ModelExported) and (event.dataset_id in datasets or event.job in jobs):
            models[event.model] = Model(event.model, event.dataset_id)
        elif isinstance(event, ModelPromoted):
            promoted = event.model
        elif isinstance(event, ModelWithdrawn) and event.model in models:
            models[event.model].withdrawn = True
    answering: dict[str, str] = {}  # replica → model
    async for event in _events(broker, SERVING_EVENTS, project, tell):
        if isinstance(event, ModelActivated):
            answering[event.replica] = event.model
        elif isinstance(event, ModelReverted):
            answering[event.replica] = event.serving
    for model in models.values():
        model.in_service = model.id == promoted or model.id in answering.values()
    return list(models.values())


async def _events(broker: Broker, stream: str, project: str, tell: Tell) -> AsyncIterator[Event]:
    async for deliveries in stored(broker, stream, tell=tell):
        for delivery in deliveries:
            envelope = event_in(delivery)
            if envelope is not None and envelope.project == project:
                yield envelope.event
