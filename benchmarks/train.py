"""A training job from claim to finished event, against bare ultralytics and the same evaluation, in CPU time.

Ours is the trainer as it is started anywhere, decider and worker in one process, with a broker and a store of its own.
It lays the dataset out, trains with checkpoints to disk and store, tells of each epoch, evaluates with intervals,
writes the report, uploads. Its CPU time is that of the process and of all that it started, from request to finished
event. Bare is a process that trains with ultralytics' own trainer with the same settings, on the same files, which lie
there already, and then measures the best weights on the test split by the same evaluation. Broker and store are not
counted.
One job takes five minutes or more on two quiet cores.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.pairs import Contest
from benchmarks.servers import running
from benchmarks.train_input import PROJECT, fill
from labelstream.blobs.s3 import S3Blobs
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS, MODEL_EVENTS, TRAINING_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.events.training import TrainingFailed, TrainingFinished
from labelstream.jobs.ports import Job
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.service.health import Health
from labelstream.streams.amqp import decode
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.training_requests import QUEUE, TrainingRequest
from labelstream.values import FileRef
from labelstream_datasets.layout.materialise import materialise
from labelstream_local.ports import choose
from labelstream_local.process import Child, Command
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer
from trainer.engine.contract import TrainingSpec
from trainer.recipe import TrainingRecipe, load_recipe

CLIPS = 150
EPOCHS = 10
MOST_S = 3600.0  # a job that takes longer is not going to end


@asynccontextmanager
async def contests(folder: Path) -> AsyncIterator[list[Contest]]:
    """Start broker, store and trainer, and put a dataset there."""
    async with running(RabbitServer(folder / "rabbitmq")) as rabbit, running(WeedServer(folder / "seaweedfs")) as weed:
        blobs = S3Blobs(weed.settings, weed.settings.data_bucket, Health())
        broker = RabbitBroker(rabbit.settings, Health(), "bench")
        queue = RabbitJobQueue(rabbit.settings, Health(), "bench")
        try:
            description = await fill(blobs, CLIPS)
            laid_out = await materialise(blobs, Health(), description, folder / "data")
            for stream in (ANNOTATION_EVENTS, BATCH_EVENTS, MODEL_EVENTS, TRAINING_EVENTS):
                await broker.ensure_stream(stream)
            lab = Lab(folder, rabbit, weed, broker, queue, description, laid_out)
            async with lab.trainer():
                amount = EPOCHS * len(list((laid_out / "train" / "images").iterdir()))
                work = Contest("train", lab.ours, {"bare": lab.bare}, amount, "images", "ratio_to_bare", warm_up=False)
                yield [work]
        finally:
            await asyncio.gather(blobs.close(), broker.close(), queue.close())


@dataclass
class Lab:
    """One dataset, trained in turn by us and by ultralytics alone; each round has a seed of its own."""

    folder: Path
    rabbit: RabbitServer
    weed: WeedServer
    broker: RabbitBroker
    queue: RabbitJobQueue
    description: FileRef
    laid_out: Path
    process: psutil.Process = field(init=False)
    _seeds: dict[str, itertools.count[int]] = field(
        default_factory=lambda: {"ours": itertools.count(), "bare": itertools.count()}
    )

    @asynccontextmanager
    async def trainer(self) -> AsyncIterator[None]:
        """Run the trainer: decider and worker."""
        broker, store = self.rabbit.settings, self.weed.settings
        told = {
            "BROKER__STREAM_PORT": str(broker.stream_port),
            "BROKER__AMQP_PORT": str(broker.amqp_port),
            "BROKER__USERNAME": broker.username,
            "BROKER__PASSWORD": broker.password.get_secret_value(),
            "STORE__ENDPOINT_URL": store.endpoint_url,
            "STORE__ACCESS_KEY": store.access_key,
            "STORE__SECRET_KEY": store.secret_key.get_secret_value(),
            "TRAINER__MIN_NEW": "0",
            "TRAINER__DEVICE": "cpu",
            "STATE_DIR": str(self.folder / "state"),
            "HTTP_PORT": str(choose(1)[0]),
        }
        variables = {f"LABELSTREAM_{name}": value for name, value in told.items()}
        command = Command("trainer", (sys.executable, "-m", "trainer"), self.folder, variables)
        child = Child(command, str(self.folder), self.folder / "trainer.log")
        child.start()
        self.process = psutil.Process(child.pid)
        try:
            yield
        finally:
            child.stop()

    async def ours(self) -> float:
        """Ask for a training; return the CPU seconds until its finished event."""
        recipe = _recipe(next(self._seeds["ours"]))
        request = TrainingRequest(dataset=self.description, recipe=recipe.model_dump(mode="json"))
        last = await self.broker.last_offset(TRAINING_EVENTS)
        began, clock = _cpu_seconds(self.process), time.monotonic()
        payload = request.model_dump(mode="json", exclude_none=True)
        await self.queue.put(QUEUE, Job(project=PROJECT, id=recipe.digest, payload=payload))
        finished = await self._ended(0 if last is None else last + 1)
        taken = _cpu_seconds(self.process) - began
        seconds = time.monotonic() - clock
        print(f"ours: {taken:.0f} CPU s in {seconds:.0f} s, test mAP50 {finished.test.map50:.3f}", file=sys.stderr)
        return taken

    async def bare(self) -> float:
        """Train with ultralytics alone; return the CPU seconds of its process."""
        out = self.folder / "bare"
        spec = TrainingSpec(data=self.laid_out, recipe=_recipe(next(self._seeds["bare"])), out_dir=out, device="cpu")
        file = self.folder / "bare.json"
        await asyncio.to_thread(file.write_text, spec.model_dump_json())
        taken = await asyncio.to_thread(_run, [sys.executable, "-m", "benchmarks.bare_train", str(file)])
        await asyncio.to_thread(shutil.rmtree, out)
        return taken

    async def _ended(self, start: int) -> TrainingFinished:
        reader = self.broker.reader(TRAINING_EVENTS, start)
        try:
            async with asyncio.timeout(MOST_S):
                while True:
                    for delivery in await reader.read():
                        envelope = Envelope.from_message(decode(delivery.raw))
                        if envelope and isinstance(envelope.event, TrainingFinished):
                            return envelope.event
                        if envelope and isinstance(envelope.event, TrainingFailed):
                            raise RuntimeError(f"it failed: {envelope.event.rule}: {envelope.event.reason}")
        finally:
            await reader.close()


def _recipe(seed: int) -> TrainingRecipe:
    return load_recipe("demo").model_copy(update={"epochs": EPOCHS, "seed": seed})


def _run(command: list[str]) -> float:
    """Run a program to its end; return its CPU seconds."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603  # our own program
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status  # so that nobody waits for it again
    if status:
        raise RuntimeError(f"{command} ended with status {status}")
    return usage.ru_utime + usage.ru_stime


def _cpu_seconds(process: psutil.Process) -> float:
    """Return what a process used up to now, with all its children that ended."""
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)
