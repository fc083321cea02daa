"""Checkpoints on their way to the store and back, so that another machine can take a training over."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from labelstream import keys
from labelstream.blobs.checked import download_checked
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.errors import Rejected
from labelstream.jobs.ports import Job
from labelstream.jobs.worker import Attempt
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.values import FileRef
from trainer.engine.best import BEFORE, settle
from trainer.engine.checkpoints import Head, standing
from trainer.engine.contract import ARCHITECTURE, BEST, CHECKPOINT, Recovery
from trainer.orders import CHECKPOINTS, Checkpoint
from trainer.work.room import is_full

KEPT = 2  # in the store: should the newest be damaged, there is the one before
STATE, WEIGHTS = "checkpoint-{:05d}.pt", "best-{}.safetensors"
STORE = "object store"
_LIST = TypeAdapter(list[Checkpoint])

log = structlog.get_logger()


@dataclass
class Checkpoints:
    """What is stored of a job's checkpoints, by this attempt and the ones before it; the newest first."""

    attempt: Attempt
    engine_dir: Path
    every_s: float
    stored: list[Checkpoint] = field(default_factory=list)
    _is_fetched: bool = False
    _storing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _urgent: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, *, is_last: bool) -> None:
        """Say that the engine wrote a checkpoint; the last one is stored at once."""
        self._news.set()
        if is_last:
            self._urgent.set()

    async def keep_up(self) -> None:
        """Store new checkpoints, at most every so often. Raises LeaseLost."""
        while True:
            await self._news.wait()
            self._news.clear()
            if not await self.store():
                continue  # the engine is writing the next one
            try:
                async with asyncio.timeout(self.every_s):
                    await self._urgent.wait()
                    self._urgent.clear()
            except TimeoutError:
                continue

    # ---- to the store

    async def store(self) -> bool:
        """Store the engine's newest checkpoint unless it is; say whether there was one that is whole.

        Waits while the store is away. Raises LeaseLost.
        """
        async with self._storing:
            return await self._store(self.engine_dir / "leaving")

    async def _store(self, staged: Path) -> bool:
        try:
            head = await asyncio.to_thread(_stage, self.engine_dir, staged)
        except OSError as error:
            if not is_full(error):
                raise
            return False  # the engine meets the same disk, and says so
        if head is None:
            return False
        if self.stored and self.stored[0].epoch == head.epoch:
            return True
        architecture, best = self._known(head.best_sha256)
        if architecture is None and (staged / ARCHITECTURE).exists():
            architecture = await self.attempt.upload(staged / ARCHITECTURE, ARCHITECTURE)
        checkpoint = Checkpoint(
            epoch=head.epoch,
            best=best or await self.attempt.upload(staged / BEST, WEIGHTS.format(head.best_sha256[:16])),
            state=await self.attempt.upload(staged / CHECKPOINT, STATE.format(head.epoch)),
            architecture=architecture,
            adjustments=head.adjustments,
            history=head.history,
        )
        before, self.stored = self.stored, [checkpoint, *self.stored][:KEPT]
        await self.attempt.put(CHECKPOINTS, _LIST.dump_json(self.stored))
        log.info("checkpoint.stored", job=self.attempt.job.id, epoch=head.epoch)
        await asyncio.to_thread(shutil.rmtree, staged, ignore_errors=True)
        for key in _files(before) - _files(self.stored):
            await patiently(self.attempt.health, STORE, partial(self.attempt.blobs.delete, key))
        return True

    def _known(self, best_sha256: str) -> tuple[FileRef | None, FileRef | None]:
        """Return what is stored already: the architecture, and these best weights."""
        architecture = next((each.architecture for each in self.stored), None)
        return architecture, next((each.best for each in self.stored if each.best.sha256 == best_sha256), None)

    # ---- and back

    async def fetch(self) -> list[Recovery]:
        """Lay the newest checkpoint that is whole out for the engine, unless it has a newer one; say which are not.

        Waits while the store is away; does nothing when it was done before.
        """
        if self._is_fetched:
            return []
        damaged: list[str] = []
        there = await self._left(damaged)
        while there and not await self._has_newer(there[0]) and not await self._fetched(there[0], damaged):
            there = there[1:]
        self.stored, self._is_fetched = there, True
        stands = max((each.epoch for each in there), default=0)
        return [Recovery(epoch=stands, rule="checkpoint-damaged", reason=reason) for reason in damaged]

    async def _left(self, damaged: list[str]) -> list[Checkpoint]:
        """Return what the attempts before this one stored: the newest that stored any names the ones before."""
        job, blobs = self.attempt.job, self.attempt.blobs
        for number in range(self.attempt.number - 1, 0, -1):
            key = keys.attempt(job.project, job.id, number, CHECKPOINTS)
            try:
                found = await patiently(self.attempt.health, STORE, partial(blobs.get, key))
                return _LIST.validate_json(found.data)
            except BlobNotFound:
                continue
            except ValidationError as error:
                damaged.append(f"{key}: {error.error_count()} fields are missing or wrong")
        return []

    async def _has_newer(self, stored: Checkpoint) -> bool:
        head = await asyncio.to_thread(standing, self.engine_dir)
        return head is not None and head.epoch >= stored.epoch

    async def _fetched(self, stored: Checkpoint, damaged: list[str]) -> bool:
        """Lay a checkpoint out, both files or none; note what is wrong with it."""
        arriving = self.engine_dir / "arriving"
        try:
            for file, name in ((stored.architecture, ARCHITECTURE), (stored.best, BEST), (stored.state, CHECKPOINT)):
                if file is not None:
                    await self._download(file, arriving / name)
            if await asyncio.to_thread(standing, arriving) is None:
                raise Rejected("checkpoint.unreadable", f"{stored.state.key} is not whole", "")
        except Rejected as error:
            log.warning("checkpoint.damaged", job=self.attempt.job.id, epoch=stored.epoch, reason=error.reason)
            damaged.append(error.reason)
            return False
        for path in (arriving / name for name in (ARCHITECTURE, BEST, CHECKPOINT)):  # what names others comes last
            if path.exists():
                path.replace(self.engine_dir / path.name)
        log.info("checkpoint.fetched", job=self.attempt.job.id, epoch=stored.epoch)
        return True

    async def _download(self, file: FileRef, path: Path) -> None:
        await patiently(self.attempt.health, STORE, partial(download_checked, self.attempt.blobs, file, path))


async def forget(blobs: Blobs, health: Health, job: Job) -> None:
    """Remove the checkpoints that all attempts at a job stored; waits while the store is away.

    The best weights of a job that was cancelled stay: the event of its end may name them.
    """

    async def remove() -> None:
        is_cancelled = await blobs.head(keys.job_cancel(job.project, job.id)) is not None
        going = ("checkpoint-",) if is_cancelled else ("checkpoint-", "best-")
        prefix = keys.job(job.project, job.id, "attempts/")
        found = [info.key async for info in blobs.list(prefix)]
        for key in found:
            name = key.rpartition("/")[2]
            if name == CHECKPOINTS or name.startswith(going):
                await blobs.delete(key)

    await patiently(health, STORE, remove)


def _stage(engine_dir: Path, staged: Path) -> Head | None:
    """Link checkpoint and best weights where the engine does not replace them; None when they do not go together."""
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    for name in (CHECKPOINT, BEST, BEFORE, ARCHITECTURE):  # the engine may put others in their places meanwhile
        with suppress(FileNotFoundError):
            os.link(engine_dir / name, staged / name)
    head = standing(staged)
    return head if head is not None and settle(staged, head.best_sha256) else None


def _files(checkpoints: list[Checkpoint]) -> set[str]:
    return {file.key for each in checkpoints for file in (each.state, each.best)}
