"""The mirror at work: reads both streams, and shows each event in MLflow, once and in order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.errors import Rejected, Unavailable
from labelstream.events.base import MODEL_EVENTS, TRAINING_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.service.health import Health
from labelstream.service.patience import pauses
from labelstream.streams.amqp import decode
from labelstream.streams.lag import Behind, reading
from labelstream.streams.message import Delivery
from labelstream.streams.ports import Broker, Reader, Start
from trainer.mirror.changes import Gone, Place, Places, RunChange, Tracking
from trainer.mirror.describing import changes_of

AWAY, REFUSED = "MLflow", "MLflow refused"  # under which /readyz says so
STREAMS = (TRAINING_EVENTS, MODEL_EVENTS)
READER = "trainer.mirror"  # as the metrics call us
AT_MOST = 20  # events between two notes of how far we are: so many may be shown again, which changes nothing

log = structlog.get_logger()


@dataclass
class Mirror:
    """Follows `training-events` and `model-events`. Nothing waits for it: what is away is said to be degraded."""

    broker: Broker
    blobs: Blobs
    tracking: Tracking
    projects: tuple[str, ...]
    health: Health
    wait_s: float = 1.0  # how long a read waits for events
    first_pause_s: float = 1.0
    longest_pause_s: float = 30.0
    _pauses: Iterator[float] | None = None  # since something was away
    _behind: dict[str, Behind] = field(default_factory=dict)  # by stream

    async def run(self) -> None:
        """Mirror until cancelled; begin with what MLflow knows, also after it was away: it may have lost something."""
        async with AsyncExitStack() as stack:
            for stream in STREAMS:
                self._behind[stream] = await stack.enter_async_context(reading(self.broker, stream, READER))
            while True:
                try:
                    await self._follow()
                except (Gone, Unavailable) as error:
                    await asyncio.sleep(self._pause(error))
                except Exception as fault:  # a full disk, an answer that no MLflow gives: it ends no training
                    log.error("mirror.failed", exc_info=fault)
                    await asyncio.sleep(self._pause(fault))

    async def _follow(self) -> None:
        places = {project: await self._places(project) for project in self.projects}
        async with AsyncExitStack() as stack:
            trainings, models = (self._reader(stream, _start(places.values(), stream)) for stream in STREAMS)
            stack.push_async_callback(trainings.close)
            stack.push_async_callback(models.close)
            while True:
                await self._step(trainings, models, places)
                self._well()

    def _reader(self, stream: str, start: Start) -> Reader:
        self._behind[stream].begin(start)
        return self.broker.reader(stream, start)

    async def _step(self, trainings: Reader, models: Reader, places: dict[str, Places]) -> None:
        """Mirror what has come; a model comes after the training that made it."""
        newest = await models.read(AT_MOST, self.wait_s)
        while deliveries := await trainings.read(AT_MOST, self.wait_s):
            await self._take(deliveries, places)
        await self._take(newest, places)

    async def _places(self, project: str) -> Places:
        """Return how far a project is mirrored; of a stream that is another one since, nothing is."""
        for stream in STREAMS:
            await self.broker.ensure_stream(stream)
        places = await self.tracking.places(project)
        return {stream: place for stream, place in places.items() if await _stands(self.broker, stream, place)}

    async def _take(self, deliveries: Sequence[Delivery], places: dict[str, Places]) -> None:
        if not deliveries:
            return
        behind = self._behind[deliveries[0].stream]
        behind.read(deliveries)
        reached: dict[str, Places] = {}
        for delivery in deliveries:
            envelope = _event_of(delivery)
            if envelope is None or _is_behind(delivery, places.get(envelope.project)):
                continue
            await self._show(delivery.offset, envelope)
            reached.setdefault(envelope.project, {})[delivery.stream] = Place(delivery.offset, envelope.id)
        for project, new in reached.items():
            await self.tracking.reached(project, new)
            places[project].update(new)
        behind.handled(deliveries[-1].offset)

    async def _show(self, offset: int, envelope: Envelope) -> None:
        try:
            for change in changes_of(offset, envelope):
                if isinstance(change, RunChange):
                    await self.tracking.change_run(envelope.project, change)
                    await self._add_files(envelope.project, change)
                else:
                    await self.tracking.change_version(envelope.project, change)
        except Rejected as error:
            log.error("mirror.refused", type=envelope.event.type, id=envelope.id, reason=str(error))
            self.health.degraded(REFUSED, f"{envelope.event.type} at offset {offset}: {error}")

    async def _add_files(self, project: str, change: RunChange) -> None:
        for artifact in change.artifacts:
            with TemporaryDirectory(prefix="labelstream-mirror-") as folder:
                file = Path(folder) / Path(artifact.path).name
                try:
                    await self.blobs.download(artifact.file.key, file)
                except BlobNotFound:  # collected since, which is no fault
                    log.info("mirror.file_absent", key=artifact.file.key, job=change.job)
                    continue
                await self.tracking.add_file(project, change.job, artifact.path, file)

    def _pause(self, error: Exception) -> float:
        """Say that something is away; the trainer stays ready. Return how long to wait before it is tried again."""
        if self._pauses is None:
            log.warning("mirror.waits", reason=str(error))
            self._pauses = pauses(self.first_pause_s, self.longest_pause_s)
        self.health.degraded(AWAY, f"{error}; trainings go on, and are mirrored later")
        return next(self._pauses)

    def _well(self) -> None:
        if self._pauses is not None:
            log.info("mirror.goes_on")
            self._pauses = None
            self.health.degraded(AWAY, None)


def _start(places: Iterable[Places], stream: str) -> Start:
    known = [each[stream].offset if stream in each else -1 for each in places]
    return min(known) + 1 if known and min(known) >= 0 else "first"


def _is_behind(delivery: Delivery, places: Places | None) -> bool:
    """Return whether an event is mirrored already, or of a project that is none of ours."""
    if places is None:
        return True
    place = places.get(delivery.stream)
    return place is not None and delivery.offset <= place.offset


def _event_of(delivery: Delivery) -> Envelope | None:
    try:
        return Envelope.from_message(decode(delivery.raw))
    except Rejected as error:  # its bytes stay in the stream, and those who decide by it say that they are degraded
        log.warning("mirror.passed_over", stream=delivery.stream, offset=delivery.offset, reason=str(error))
        return None


async def _stands(broker: Broker, stream: str, place: Place) -> bool:
    """Return whether the event at a place is still the one that was mirrored: the stream may be another one since."""
    last = await broker.last_offset(stream)
    if last is None or last < place.offset:
        return False
    reader = broker.reader(stream, place.offset)
    try:
        while not (deliveries := await reader.read(at_most=1)):
            pass
    finally:
        await reader.close()
    envelope = _event_of(deliveries[0])
    return deliveries[0].offset == place.offset and envelope is not None and envelope.id == place.event
