"""The augmenter from validated annotations to archives, against a bare loop and against files in threads.

The service's own pipeline runs, with its view, its batches, its processes, its archives and its read-back; broker and
store are doubles in memory, so that what is measured is our own work: no network, and no store's hashing. Every run has
a stream, a view and a store of its own; the annotations are there before the clock starts, and the processes are up.
The service's main process comes beside those that are named: on a machine with no core left for it they share theirs.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import simplejpeg

from augmenter.adapters.pool import RenderPool
from augmenter.domain import Limits
from augmenter.handler import Augmenter
from augmenter.making import Workshop
from augmenter.pipeline import Pipeline
from augmenter.room import Room
from augmenter.store import Store
from benchmarks.bare_augment import RECIPE, bare_pool, run_bare, run_files
from benchmarks.pairs import Contest, Run
from labelstream.blobs.memory import MemoryBlobs
from labelstream.events.annotation import Annotation, AnnotationSettled, ImageRef, Outcome
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS
from labelstream.events.batch import BatchAugmented
from labelstream.events.envelope import Envelope
from labelstream.labels import Box, labels_digest
from labelstream.service.health import Health
from labelstream.streams.amqp import decode
from labelstream.streams.memory import MemoryBroker
from labelstream.values import Position, sha256_hex

IMAGES, WIDTH, HEIGHT = 64, 1280, 720  # of 190 KB
BATCH = 16
MEMORY_BYTES = 1 << 30
SHAPES = tuple(Box.from_corners(n, 0.1 + 0.2 * n, 0.3, 0.25 + 0.2 * n, 0.6) for n in range(3))


@asynccontextmanager
async def contests(folder: Path) -> AsyncIterator[list[Contest]]:
    """Draw the images, and start the processes of both sides."""
    files = await asyncio.to_thread(drawn, IMAGES)
    amount = IMAGES * (RECIPE.count + 1)
    async with AsyncExitStack() as stack:
        sides: list[tuple[Run, Run]] = []
        for processes in (1, 2):
            pool = stack.enter_context(RenderPool(processes))
            bare = await asyncio.to_thread(bare_pool, processes, files)
            stack.callback(bare.shutdown)
            ours = Ours(folder, files, pool)
            await ours.warm_up()
            sides.append((ours.run, partial(asyncio.to_thread, run_bare, bare, IMAGES)))
        (one, one_bare), (two, two_bare) = sides
        threads = _threads(folder, files)
        yield [
            Contest("one process", one, {"bare": one_bare}, amount, "variants"),
            Contest("two processes", two, {"bare": two_bare}, amount, "variants"),
            Contest(
                "two, beside files in threads", two, {"threads": threads}, amount, "variants", "ratio_to_best_peer"
            ),
        ]


def drawn(count: int) -> list[bytes]:
    """Draw soft photo-like images; the same ones each time."""
    rng = np.random.default_rng(1)
    return [_photo(rng) for _ in range(count)]


def _photo(rng: np.random.Generator) -> bytes:
    coarse = rng.integers(0, 256, (HEIGHT // 40, WIDTH // 40, 3), dtype=np.uint8)
    soft = np.kron(coarse, np.ones((40, 40, 1))) + rng.normal(0, 5, (HEIGHT, WIDTH, 3))
    pixels = np.ascontiguousarray(np.clip(soft, 0, 255).astype(np.uint8))
    return bytes(simplejpeg.encode_jpeg(pixels, quality=90, colorspace="BGR", colorsubsampling="420"))


class Shelf(MemoryBlobs):
    """A store that keeps what it is given, without the hashing that a real one does on its own machine."""

    def _store(self, key: str, data: bytes) -> str:
        self._objects[key] = (data, key, self.clock())
        return key


@dataclass
class Ours:
    """The augmenter with a pool of processes."""

    folder: Path
    files: Sequence[bytes]
    pool: RenderPool
    _runs: itertools.count[int] = field(default_factory=itertools.count)

    async def warm_up(self) -> None:
        """Return when every process is up."""
        some = [
            self.pool.render(one, _reference(one), SHAPES, RECIPE, {}) for one in self.files[: self.pool.workers * 4]
        ]
        await asyncio.gather(*some)

    async def run(self) -> float:
        """Answer every annotation; return the seconds from the start to the last answer's being read back."""
        broker, blobs = MemoryBroker(), Shelf()
        await _annotate(broker, blobs, self.files)
        store = Store(blobs, Health())
        maker = Workshop(store, self.pool, Room(MEMORY_BYTES))
        augmenter = Augmenter(maker, RECIPE, Limits(BATCH, 1 << 40, 3600))
        view = self.folder / f"view-{self.pool.workers}-{next(self._runs)}.sqlite"
        began = time.perf_counter()
        service = asyncio.create_task(Pipeline("default", broker, augmenter, store, view).run())
        while not service.done() and len(_batches(broker)) < IMAGES // BATCH:
            await broker.changed(1)
        seconds = time.perf_counter() - began
        service.cancel()
        await asyncio.wait([service])
        if not service.cancelled():
            service.result()
        _check(broker)
        return seconds


async def _annotate(broker: MemoryBroker, blobs: MemoryBlobs, files: Sequence[bytes]) -> None:
    await broker.ensure_stream(ANNOTATION_EVENTS)
    publisher = broker.publisher(ANNOTATION_EVENTS, "ingest")
    for number, encoded in enumerate(files, 1):
        image = _reference(encoded)
        await blobs.put(image.key, encoded)
        annotation = Annotation(
            image=image, medium=f"{number}", shapes=SHAPES, labels=labels_digest(SHAPES), schema_digest="0" * 64
        )
        name = f"frame-{number}"
        outcome = Outcome(name=name, outcome="recorded", validated=True, revision=1, annotation=annotation)
        position = Position(stream="annotations", offset=number)
        event = AnnotationSettled(input=position, message_key=name, wire="native", outcomes=(outcome,))
        envelope = Envelope.of(event, source="ingest", answers=name, project="default")
        await publisher.publish([(number, envelope.to_message())])


def _reference(encoded: bytes) -> ImageRef:
    digest = sha256_hex(encoded)
    key = f"default/images/{digest}.jpg"
    return ImageRef(key=key, sha256=digest, size_bytes=len(encoded), format="jpeg", width=WIDTH, height=HEIGHT)


def _batches(broker: MemoryBroker) -> list[bytes]:
    return [delivery.raw for delivery in broker.stored(BATCH_EVENTS) or []]


def _check(broker: MemoryBroker) -> None:
    envelopes = [Envelope.from_message(decode(raw)) for raw in _batches(broker)]
    events = [one.event for one in envelopes if one is not None and isinstance(one.event, BatchAugmented)]
    made = sum(len(member.variants) for event in events for member in event.members)
    assert made == IMAGES * (RECIPE.count + 1), f"{made} variants were made"


def _threads(folder: Path, files: Sequence[bytes]) -> Run:
    inputs = folder / "inputs"
    inputs.mkdir()
    for encoded in files:
        (inputs / f"{sha256_hex(encoded)}.jpg").write_bytes(encoded)
    target = folder / "outputs"

    def run() -> float:
        target.mkdir()
        try:
            return run_files(2, sorted(inputs.iterdir()), target)
        finally:
            shutil.rmtree(target)

    return lambda: asyncio.to_thread(run)
