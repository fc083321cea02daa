"""Tells on the stream what attempts write down in the store while they work: who began, epochs, recoveries."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import structlog
from pydantic import TypeAdapter, ValidationError

from labelstream import keys
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.events.training import TrainingProgressed, TrainingRecovered, TrainingStarted
from labelstream.jobs.desk import Standing
from labelstream.trainings import PROGRESS, RECOVERIES, JobState
from trainer.deciding.voice import Voice
from trainer.engine.contract import Progress, Recovery

EPOCHS = TypeAdapter(list[Progress])
RECOVERED = TypeAdapter(list[Recovery])
UNKNOWN_AT_ZERO = ("memory_bytes", "batch", "learning_rate")

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(frozen=True)
class _Page:
    """What lies under one name of an attempt, as it was read."""

    name: tuple[int, str]
    data: bytes
    etag: str


@dataclass
class Diaries:
    """Reads what changed, and says each thing once: an epoch of a job is told once, whoever trained it."""

    voice: Voice
    blobs: Blobs
    now_ms: Callable[[], int] = lambda: int(time.time() * 1000)
    heard_ms: dict[str, int] = field(default_factory=dict)  # job → when something was found written
    _told: dict[str, dict[tuple[int, str], str]] = field(default_factory=dict)  # job → ETags of what was told whole

    async def tell(self, state: JobState, standing: Standing) -> None:
        """Say what the newest attempt at a job wrote, and before it what the ones it took over from had left."""
        if standing.attempt > state.attempt:
            for attempt in range(max(1, state.attempt), standing.attempt):
                await self._tell_attempt(state, attempt)
            started = TrainingStarted(job=state.job, attempt=standing.attempt, worker=standing.worker)
            await self.voice.say(started, state.project, f"{state.job}/{standing.attempt}", state.envelope)
        await self._tell_attempt(state, standing.attempt)

    def close(self, job: str) -> None:
        """Forget a job that ended."""
        self._told.pop(job, None)
        self.heard_ms.pop(job, None)

    async def _tell_attempt(self, state: JobState, attempt: int) -> None:
        """Say what one attempt wrote. A recovery comes after the epochs that stood when it happened."""
        recoveries = await self._news(state, attempt, RECOVERIES)  # first: the epochs before them are written then
        progress = await self._news(state, attempt, PROGRESS)
        epochs, recovered = _read(EPOCHS, progress), _read(RECOVERED, recoveries)
        told = state.recoveries_told(attempt)
        for number, recovery in enumerate(recovered[told:], told + 1):
            await self._tell_epochs(state, attempt, (each for each in epochs if each.epoch <= recovery.epoch))
            event = TrainingRecovered(job=state.job, attempt=attempt, **recovery.model_dump())
            answers = f"{state.job}/{attempt}/recovery/{number}"
            await self.voice.say(event, state.project, answers, state.envelope)
        await self._tell_epochs(state, attempt, epochs)
        for page in (recoveries, progress):
            if page is not None:
                self._told.setdefault(state.job, {})[page.name] = page.etag

    async def _tell_epochs(self, state: JobState, attempt: int, epochs: Iterable[Progress]) -> None:
        for progress in epochs:
            if progress.epoch <= state.epochs_told:
                continue
            fields = progress.model_dump(include=set(TrainingProgressed.model_fields))
            known = {name: value for name, value in fields.items() if value or name not in UNKNOWN_AT_ZERO}
            event = TrainingProgressed(job=state.job, attempt=attempt, **known)
            await self.voice.say(event, state.project, f"{state.job}/{progress.epoch}", state.envelope)

    async def _news(self, state: JobState, attempt: int, name: str) -> _Page | None:
        """Read a file of an attempt; None when it is not there, or was told to its end."""
        key = keys.attempt(state.project, state.job, attempt, name)
        info = await self.blobs.head(key)
        if info is None or info.etag == self._told.get(state.job, {}).get((attempt, name)):
            return None
        try:
            found = await self.blobs.get(key)
        except BlobNotFound:
            return None
        self.heard_ms[state.job] = self.now_ms()
        return _Page((attempt, name), found.data, found.etag)


def _read(kind: TypeAdapter[list[T]], page: _Page | None) -> list[T]:
    """Return what a page says; nothing, and say so, when it can't be understood: its end is what counts."""
    try:
        return kind.validate_json(page.data) if page else []
    except ValidationError as error:
        log.warning("diary.unreadable", file=page.name if page else None, reason=str(error))
        return []
