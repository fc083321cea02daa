"""A worker on doubles: a store and a queue in memory, and an engine that trains without a network."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from labelstream import keys
from labelstream.blobs.leases import Leases
from labelstream.blobs.memory import MemoryBlobs
from labelstream.classes import ClassSchema
from labelstream.errors import Unavailable
from labelstream.events.training import DatasetRef, Metrics
from labelstream.jobs.desk import Desk, Standing
from labelstream.jobs.memory import MemoryJobQueue
from labelstream.jobs.ports import Job
from labelstream.jobs.worker import Attempt, Worker
from labelstream.service.health import Health
from labelstream.values import FileRef, Position, sha256_file, sha256_hex
from labelstream_datasets.description import DatasetDescription, SplitCount
from labelstream_datasets.manifest import Manifest, Row
from labelstream_datasets.store import BuiltDataset, store
from labelstream_yolo.architecture import Architecture
from labelstream_yolo.engine import LOG as ENGINE_LOG
from labelstream_yolo.scoring.values import Confusion, Evaluation, Score, Tested
from trainer.engine import checkpoints
from trainer.engine.best import make_way
from trainer.engine.contract import (
    ARCHITECTURE,
    BEST,
    TESTED,
    WEIGHTS,
    Adjustments,
    Progress,
    TrainingResult,
    TrainingSpec,
)
from trainer.engine.process import EngineCancelledError, Hear
from trainer.orders import QUEUE, TrainingLeft, TrainingOrder
from trainer.recipe import TrainingRecipe
from trainer.reporting import ReportContent, Written
from trainer.work.scratch import Scratch
from trainer.work.training import Options, TrainingWork

PROJECT, JOB = "default", "a-job"
EPOCHS = 6
NETWORK = {"backbone": [[-1, 1, "Conv", [8, 3, 2]]], "head": [[[-1], 1, "Detect", ["nc"]]]}
METRICS = Metrics(map50=0.8, map50_95=0.5, precision=0.9, recall=0.9, images=2)


def an_epoch(number: int, epochs: int = EPOCHS) -> Progress:
    return Progress(
        epoch=number, epochs=epochs, losses={"box_loss": 1 / number}, map50=number / 10, map50_95=number / 20,
        seconds=number, eta_s=epochs - number, images_per_s=10.0,
    )  # fmt: skip


@dataclass
class Engine:
    """Trains nothing, and keeps what the real engine promises of its files, its epochs and its end.

    `happens` is awaited before each epoch, and may fail as the engine would.
    """

    happens: Callable[[int], Awaitable[None]] | None = None
    best_epochs: set[int] = field(default_factory=lambda: set(range(1, EPOCHS + 1)))
    trained: list[int] = field(default_factory=list)
    specs: list[TrainingSpec] = field(default_factory=list)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)  # of the training under way

    async def __call__(self, spec: TrainingSpec, hear: Hear, cancelled: asyncio.Event) -> TrainingResult:
        self.specs.append(spec)
        self.cancelled = cancelled
        head = checkpoints.standing(spec.out_dir)
        history = list(head.history) if head else []
        (spec.out_dir / ARCHITECTURE).write_text(
            Architecture(
                model=NETWORK, image_size=64, names=("disc", "bar"), versions={"trainer": "1"}
            ).model_dump_json()
        )
        for progress in history:
            await hear.on_progress(progress)
        for number in range(len(history) + 1, EPOCHS + 1):
            if self.happens is not None:
                await self.happens(number)
            if cancelled.is_set():
                raise EngineCancelledError("asked to end")
            history.append(an_epoch(number))
            self._keep(spec.out_dir, history)
            await hear.on_progress(history[-1])
            await asyncio.sleep(0)
        return self._result(spec.out_dir, history)

    def _keep(self, out: Path, history: list[Progress]) -> None:
        number = history[-1].epoch
        self.trained.append(number)
        with (out / ENGINE_LOG).open("a") as log:
            log.write(f"epoch {number} trained\n")
        best = max((each for each in self.best_epochs if each <= number), default=0)
        if best == number or not (out / BEST).exists():
            make_way(out).write_bytes(_weights(number))
        head = checkpoints.Head(
            identity="a training", epoch=number, complete=number == EPOCHS, best_epoch=best,
            best_sha256=sha256_file(out / BEST), adjustments=Adjustments(), history=tuple(history),
        )  # fmt: skip
        checkpoints.write(out, head, memoryview(f"state after {number}".encode()))

    def _result(self, out: Path, history: list[Progress]) -> TrainingResult:
        score = Score(images=2, boxes=2, map50=0.8, map50_95=0.5, precision=0.9, recall=0.9)
        confusion = Confusion(names=("disc", "bar"), counts=((1, 0, 0), (0, 1, 0), (0, 0, 0)))
        evaluation = Evaluation(
            split="test", score=score, confidence=0.3, classes=(), slices=(), confusion=confusion, resamples=0
        )
        (out / TESTED).write_text(Tested(model=evaluation).model_dump_json())
        (out / WEIGHTS).write_bytes((out / BEST).read_bytes())
        return TrainingResult(
            best_epoch=max(self.best_epochs), epochs=len(history), validation=METRICS, test=METRICS,
            weights=out / WEIGHTS, architecture=out / ARCHITECTURE, tested=out / TESTED, history=tuple(history),
            versions={}, device="none", seconds=1.0,
        )  # fmt: skip


def _weights(epoch: int) -> bytes:
    """Return a safetensors file without a tensor."""
    best = {"epoch": epoch, "validation": METRICS.model_dump()}
    header = json.dumps({"__metadata__": {"labelstream": json.dumps(best)}}).encode()
    return len(header).to_bytes(8, "little") + header


async def write_plainly(content: ReportContent, folder: Path) -> Written:
    """Write a report of one line."""
    return await asyncio.to_thread(_write, content, folder)


def _write(content: ReportContent, folder: Path) -> Written:
    folder.mkdir(exist_ok=True)
    written = Written(folder / "report.html", folder / "card.md")
    written.report.write_text(f"<p>{content.job}</p>")
    written.card.write_text(f"# {content.job}")
    return written


@dataclass
class Hall:
    """What workers share, and what they are made of. Each has a scratch folder of its own, as on another machine."""

    folder: Path
    dataset: DatasetRef
    blobs: MemoryBlobs
    engine: Engine = field(default_factory=Engine)
    queue: MemoryJobQueue = field(default_factory=MemoryJobQueue)
    health: Health = field(default_factory=Health)
    options: Options = field(
        default_factory=lambda: Options(
            worker="w", checkpoint_every_s=0, disk_patience_s=3600, look_every_s=0.01, disk_pause_s=0.01
        )
    )
    write: Callable[[ReportContent, Path], Awaitable[Written]] = write_plainly
    cleared: asyncio.Event = field(default_factory=asyncio.Event)  # a worker ended a job and cleared up

    def scratch(self, name: str = "w") -> Scratch:
        return Scratch(self.folder / name)

    def worker(self, name: str = "w", ttl_s: float = 30) -> Worker:
        work = TrainingWork(self.blobs, self.health, self.scratch(name), self.options, self.engine, self.write)
        leases = Leases(self.blobs, name, ttl_s)

        async def afterwards(attempt: Attempt) -> None:
            await work.afterwards(attempt)
            self.cleared.set()

        return Worker(QUEUE, self.queue, leases, self.blobs, self.health, work.do, afterwards, through_outages=True)

    @property
    def desk(self) -> Desk:
        return Desk(self.queue, Leases(self.blobs, "decider"), self.blobs)

    async def order(self, **changes: object) -> None:
        """Offer the job."""
        order = TrainingOrder(dataset=self.dataset, recipe=TrainingRecipe(epochs=EPOCHS)).model_copy(update=changes)
        await self.queue.put(QUEUE, Job(project=PROJECT, id=JOB, payload=order.model_dump(mode="json")))

    async def standing(self) -> Standing | None:
        return await self.desk.standing(PROJECT, JOB)

    async def worked(self, *workers: Worker) -> Standing:
        """Let workers work until the job is finished, or an attempt is handed back."""
        before = await self.standing()
        first = 1 if before is None else before.attempt + 1
        running = [asyncio.create_task(worker.run()) for worker in workers or (self.worker(),)]
        try:
            async with asyncio.timeout(20):
                while True:
                    for task in running:
                        if task.done():
                            task.result()
                    standing = None
                    with suppress(Unavailable):
                        standing = await self.standing()
                    if standing is not None and standing.state == "finished":
                        await self.cleared.wait()
                        return standing
                    if standing is not None and standing.state == "released" and standing.attempt >= first:
                        return standing
                    await asyncio.sleep(0.002)
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)

    async def left(self) -> TrainingLeft:
        """Let a worker end the job; return what it left."""
        standing = await self.worked()
        assert standing.result is not None, standing
        return TrainingLeft.model_validate_json(standing.result)

    async def said(self, attempt: int, name: str) -> bytes:
        """Return a file that an attempt left."""
        return (await self.blobs.get(keys.attempt(PROJECT, JOB, attempt, name))).data

    async def epochs_said(self, attempt: int = 1) -> list[int]:
        return [each["epoch"] for each in json.loads(await self.said(attempt, "progress.json"))]

    async def rules_said(self, attempt: int = 1) -> list[str]:
        """Return the recoveries that an attempt told of."""
        return [each["rule"] for each in json.loads(await self.said(attempt, "recoveries.json"))]

    def files(self) -> set[str]:
        """Return the names of everything that the job has in the store."""
        prefix = keys.job(PROJECT, JOB, "")
        return {key.removeprefix(prefix) for key in self.blobs._objects if key.startswith(prefix)}

    def states(self) -> set[str]:
        """Return which checkpoints are in the store."""
        return {name.removeprefix("attempts/") for name in self.files() if name.endswith(".pt")}

    async def until_stored(self, epoch: int) -> None:
        """Wait for the checkpoint of an epoch to be in the store, and named in the list."""
        async with asyncio.timeout(10):
            while not await self._is_named(epoch):  # noqa: ASYNC110  # a store tells nobody
                await asyncio.sleep(0.001)

    async def _is_named(self, epoch: int) -> bool:
        lists = sorted(name for name in self.files() if name.endswith("checkpoints.json"))
        if not lists:
            return False
        named = json.loads((await self.blobs.get(keys.job(PROJECT, JOB, lists[-1]))).data)
        return any(each["epoch"] == epoch for each in named)


@pytest.fixture
async def hall(tmp_path: Path) -> Hall:
    blobs = MemoryBlobs()
    return Hall(tmp_path, await a_dataset(blobs), blobs)


async def a_dataset(blobs: MemoryBlobs) -> DatasetRef:
    """Store a dataset whose images are only bytes: nobody here looks at pixels."""
    splits = ("train", "val", "test")
    files = {f"{split}-{number}": f"pixels of {split} {number}".encode() for split in splits for number in range(2)}
    buffer = io.BytesIO()
    with tarfile.open(mode="w", fileobj=buffer) as tar:
        for name, content in files.items():
            for member, data in ((f"{name}.jpg", content), (f"{name}.txt", b"0 0.5 0.5 0.2 0.2\n")):
                entry = tarfile.TarInfo(member)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    archive = FileRef.of(keys.archive(PROJECT, "an-archive"), buffer.getvalue())
    await blobs.put(archive.key, buffer.getvalue())
    manifest = Manifest.of(
        Row(
            image=sha256_hex(name.encode()), labels="1" * 64, recipe="2" * 64, variant=0, split=name.split("-")[0],
            name=name, medium=name, archive=archive.key, archive_sha256=archive.sha256,
            archive_bytes=archive.size_bytes, path=f"{name}.jpg", boxes=1, sha256=sha256_hex(content),
        )
        for name, content in files.items()
    )  # fmt: skip
    counts = {split: SplitCount(media=2, images=2, samples=2, boxes=2, class_images={0: 2}) for split in splits}
    description = DatasetDescription(
        id=manifest.id, project=PROJECT, cut=Position(stream="annotation-events", offset=9), recipe="2" * 64,
        class_schema=ClassSchema(name="shapes", classes=("disc", "bar")), counts=counts,
    )  # fmt: skip
    return await store(blobs, BuiltDataset(description, manifest))
