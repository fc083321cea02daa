"""The stack under test: behind proxies, with small disks and clocks that can be shifted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from chaos.clocks import Clocks, sweep
from chaos.disks import Disk, small_disk
from chaos.faults import Faults
from chaos.frames import SCHEMA
from chaos.processes import tree_of
from chaos.producing import NAME as PRODUCER
from chaos.schedule import Menu
from chaos.walls import Walls
from labelstream.service.settings import BrokerSettings
from labelstream_local.layout import Layout
from labelstream_local.process import StartFailed
from labelstream_local.record import Record, settle_ports
from labelstream_local.services import NAMES, SERVERS
from labelstream_local.stack import Options, Stack, down, load, up

WITHOUT_TRAINING = ("annotation-ingest", "augmenter")
WITH_SMALL_DISKS = ("annotation-ingest", "augmenter")
WITH_CLOCKS = ("annotation-ingest", "trainer", "inference")
UP_WITHIN_S = 300.0
MIN_NEW = 100  # validated annotations start a training
MIN_INTERVAL_S = 240  # a training leaves the two cores of a small machine to others for a while
TRAINING = {
    "architecture": "small", "image_size": 96, "epochs": 5, "batch": 4, "lr0": 0.006, "cache_images": True,
}  # fmt: skip
AUGMENTATION = {
    "name": "chaos",
    "description": "one variant of each image",
    "variants": [{"count": 1, "transforms": [{"kind": "flip", "p": 0.5}, {"kind": "brightness_contrast", "p": 0.5}]}],
}
SETTINGS: dict[str, dict[str, object]] = {
    "annotation-ingest": {"INGEST__BATCH": 8, "INGEST__DECODERS": 1},
    "augmenter": {"AUGMENTER__BATCH_COUNT": 16, "AUGMENTER__BATCH_AGE_S": 2, "AUGMENTER__WORKERS": 1},
    "trainer": {
        "TRAINER__MIN_NEW": MIN_NEW,
        "TRAINER__MIN_INTERVAL_S": MIN_INTERVAL_S,
        "TRAINER__MIN_TRAIN_IMAGES_PER_CLASS": 0,
        "TRAINER__DATASET__RATIOS": [0.5, 0.25, 0.25],
        "TRAINER__CHECKPOINT_EVERY_S": 5,
        "TRAINER__LEASE_S": 10,
    },
    "exporter": {
        "EXPORTER__FORMATS": json.dumps(["onnx-fp32"]),
        "EXPORTER__ABSENT_S": 600,
        "EXPORTER__CONFIDENCE": 0.02,
        "EXPORTER__MIN_FIRST": 0,
        "EXPORTER__LEASE_S": 10,
    },
    "exporter-work": {"EXPORTER__LEASE_S": 10},
    "inference": {"INFERENCE__RETRY_MOST_S": 5},
}


@dataclass(frozen=True)
class Stage:
    """A stack that runs, and what can be done to it."""

    stack: Stack
    walls: Walls
    faults: Faults
    menu: Menu

    @property
    def producer(self) -> BrokerSettings:
        """How our producer reaches the broker."""
        return self.walls.broker(PRODUCER, self.stack.broker)

    @property
    def trains(self) -> bool:
        """Whether models come about."""
        return "trainer" in self.stack.services

    def in_words(self) -> str:
        """Say what can be done to it."""
        disks = "; ".join(sorted({disk.how for disk in self.faults.disks.values()}))
        clocks = "clocks by libfaketime" if self.menu.clocks else "no clocks (libfaketime is not installed)"
        return f"{', '.join((*self.menu.services, *self.menu.servers))}; disks: {disks}; {clocks}"


@asynccontextmanager
async def stage(folder: Path, *, trains: bool, watched: bool) -> AsyncIterator[Stage]:
    """Start a stack in a folder, `watched` by a Prometheus; it is stopped at the end. Raises StartFailed."""
    services = NAMES if trains else WITHOUT_TRAINING
    layout = Layout.at(folder / "stack")
    layout.create()
    ports = settle_ports(None)
    Record(ports).write(layout)  # so that the proxies know where the servers will be
    async with AsyncExitStack() as closing:
        walls = await Walls.around(ports, (*services, PRODUCER))
        closing.push_async_callback(walls.close)
        closing.callback(sweep)
        clocks = Clocks.of([name for name in WITH_CLOCKS if name in services], folder / "clocks")
        disks = _disks(layout, folder)
        for disk in disks.values():
            closing.callback(disk.close)
        told = told_to(folder, services)
        for service in services:
            told[service] |= walls.told(service) | (clocks.told(service) if clocks else {})
            if service in disks:
                told[service]["LABELSTREAM_STATE_DIR"] = str(disks[service].path)
        closing.push_async_callback(asyncio.to_thread, down, layout.root)
        options = Options(
            services=services, schemas=_schemas(folder), told=told, within_s=UP_WITHIN_S, observability=watched
        )
        stack = await asyncio.to_thread(up, layout.root, options)
        menu = Menu(services, SERVERS, tuple(disks), tuple(clocks.files) if clocks else ())
        yield Stage(stack, walls, Faults(stack, walls, disks, clocks), menu)


def told_to(folder: Path, services: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Return what services are told, here and in the replay."""
    settings = {service: dict(SETTINGS.get(service, {})) for service in services}
    settings["augmenter"]["AUGMENTER__RECIPE"] = _written(folder / "augmentation.yaml", AUGMENTATION)
    if "trainer" in settings:
        settings["trainer"]["TRAINER__RECIPE"] = _written(folder / "training.yaml", TRAINING)
    return {
        service: {f"LABELSTREAM_{name}": str(value) for name, value in group.items()}
        for service, group in settings.items()
    }


def undisturbed_options(folder: Path) -> Options:
    """Return how the stack of the replay is started: what decides over datasets, and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    told = told_to(folder, WITHOUT_TRAINING)
    return Options(services=WITHOUT_TRAINING, schemas=_schemas(folder), told=told, within_s=UP_WITHIN_S)


def _schemas(folder: Path) -> dict[str, str]:
    file = folder / "scenes.json"
    file.write_text(json.dumps(SCHEMA))
    return {"default": str(file)}


def _written(file: Path, content: Mapping[str, Any]) -> str:
    file.write_text(yaml.safe_dump(dict(content), sort_keys=False))
    return str(file)


def _disks(layout: Layout, folder: Path) -> dict[str, Disk]:
    def tree(service: str) -> list[Any]:
        try:
            return tree_of(load(layout.root), service)
        except StartFailed:  # nothing is up yet
            return []

    return {service: small_disk(folder / "disks" / service, partial(tree, service)) for service in WITH_SMALL_DISKS}
