"""Trains: the worker's side of a training job, from what is ordered to what is left in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import ValidationError

from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected
from labelstream.jobs.worker import Attempt, TryAgain
from labelstream.service.health import Health
from trainer.engine.best import kept
from trainer.engine.checkpoints import standing
from trainer.engine.contract import Progress, Recovery, TrainingResult, TrainingSpec
from trainer.engine.process import EngineCancelledError, EngineFailedError, Hear, run_training
from trainer.orders import TrainingLeft, TrainingOrder
from trainer.work.beside import beside
from trainer.work.cancelling import Cancelling
from trainer.work.checkpoints import Checkpoints, forget
from trainer.work.diary import Diary
from trainer.work.inputs import Inputs
from trainer.work.results import Leaving, Write, in_a_child
from trainer.work.room import DiskFull, Room, noticing_full_disks
from trainer.work.scratch import Scratch

STOPPING_S = 8.0  # to leave the newest checkpoint when the worker is told to stop

Train = Callable[[TrainingSpec, Hear, asyncio.Event], Awaitable[TrainingResult]]

log = structlog.get_logger()


@dataclass(frozen=True)
class Options:
    """How a worker works."""

    worker: str
    device: str = "auto"
    checkpoint_every_s: float = 60.0
    disk_patience_s: float = 600.0
    look_every_s: float = 2.0  # for somebody who wants the job to end
    disk_pause_s: float = 5.0


@dataclass(frozen=True)
class TrainingWork:
    """Trains job after job in a subprocess; what a job leaves makes the next worker go on where this one ended."""

    blobs: Blobs
    health: Health
    scratch: Scratch
    options: Options
    train: Train = run_training
    write: Write = in_a_child

    async def do(self, attempt: Attempt) -> TrainingLeft:
        """Train one job. Raises Rejected, TryAgain or LeaseLost."""
        try:
            order = TrainingOrder.model_validate(attempt.job.payload)
        except ValidationError as error:
            hint = "Run the same version of the trainer here as the decider."
            raise Rejected("training.order-unreadable", str(error), hint) from error
        try:
            return await _Attempt.of(self, attempt, order).run()
        except EngineFailedError as error:
            log.warning("engine.failed", job=attempt.job.id, rule=error.rule, reason=error.reason, tail=error.log_tail)
            if error.rule == "engine-died":
                raise TryAgain(error.reason) from error
            raise Rejected(f"training.{error.rule}", error.reason, "The job's log has more.") from error

    async def afterwards(self, attempt: Attempt) -> None:
        """Remove what only an unfinished job needs, here and in the store."""
        await asyncio.to_thread(self.scratch.remove, self.scratch.job(attempt.job.id))
        await forget(self.blobs, self.health, attempt.job)


@dataclass
class _Attempt:
    """One attempt at one training."""

    work: TrainingWork
    attempt: Attempt
    order: TrainingOrder
    folder: Path
    diary: Diary
    checkpoints: Checkpoints
    cancelling: Cancelling
    room: Room
    stood: int = 0  # epochs that were behind the training when the attempt began

    @classmethod
    def of(cls, work: TrainingWork, attempt: Attempt, order: TrainingOrder) -> _Attempt:
        options, folder = work.options, work.scratch.job(attempt.job.id)
        return cls(
            work,
            attempt,
            order,
            folder,
            Diary(attempt, folder),
            Checkpoints(attempt, folder, options.checkpoint_every_s),
            Cancelling(attempt, options.look_every_s),
            Room(work.scratch, work.health, options.disk_patience_s, options.disk_pause_s),
        )

    @property
    def data(self) -> Path:
        return self.work.scratch.dataset(self.order.dataset.id)

    async def run(self) -> TrainingLeft:
        """Train until it ends in one way or another."""
        try:
            async with beside(self.cancelling.watch(), self.diary.keep_up(), self.checkpoints.keep_up()):
                return await self._to_the_end()
        except asyncio.CancelledError:
            if not self.attempt.is_lost:
                await self._leave_in_time()
            raise

    async def _to_the_end(self) -> TrainingLeft:
        leaving = Leaving(self.attempt, self.order, self.work.options.worker, self.work.write)
        try:
            result = await self._through_full_disks()
        except EngineCancelledError:
            await self.diary.write()
            return await leaving.cancelled(self.cancelling.reason, await asyncio.to_thread(kept, self.folder))
        except (EngineFailedError, TryAgain):
            await self._leave()
            raise
        await self.diary.write()
        return await leaving.finished(result, self.data)

    async def _through_full_disks(self) -> TrainingResult:
        while True:
            try:
                with noticing_full_disks():
                    return await self._train()
            except DiskFull as full:
                in_use = (self.folder, self.data)
                await self.cancelling.unless_asked(self.room.make(full, in_use))
                recovery = Recovery(epoch=self.diary.last_epoch, rule="disk-full", reason=str(full))
                self.diary.note_recovery(recovery)

    async def _train(self) -> TrainingResult:
        """Train with what lies on the disk, and fetch what does not."""
        work, order = self.work, self.order
        await asyncio.to_thread(work.scratch.use, self.folder, self.data)
        await asyncio.to_thread(work.scratch.tidy, (self.folder, self.data))
        for damaged in await self.checkpoints.fetch():
            self.diary.note_recovery(damaged)
        await self.cancelling.look()
        inputs = Inputs(work.blobs, work.health)
        await self.cancelling.unless_asked(inputs.dataset(order.dataset, self.data))
        stood = await asyncio.to_thread(standing, self.folder)
        self.stood = stood.epoch if stood else 0
        spec = TrainingSpec(
            data=self.data,
            recipe=order.recipe,
            out_dir=self.folder,
            device=work.options.device,
            initial=await inputs.network(order.initial, self.folder / "initial"),
            champion=await inputs.champion(order.champion, self.folder / "champion"),
        )
        return await work.train(spec, Hear(self._on_progress, self._on_recovery), self.cancelling.asked)

    async def _on_progress(self, progress: Progress) -> None:
        self.diary.note(progress)
        if progress.epoch > self.stood:
            said = progress.model_dump(include={"epoch", "epochs", "map50"})
            log.info("epoch.ended", job=self.attempt.job.id, **said)
            self.attempt.went_on()
            self.room.went_on()
        self.checkpoints.note(is_last=progress.epoch == progress.epochs)

    async def _on_recovery(self, recovery: Recovery) -> None:
        self.diary.note_recovery(recovery)

    async def _leave(self) -> None:
        """Leave the newest checkpoint, so that another worker goes on from there, and the last of the log."""
        await self.checkpoints.store()
        await self.diary.write()

    async def _leave_in_time(self) -> None:
        """Do so, but do not wait for a store that is away."""
        try:
            async with asyncio.timeout(STOPPING_S):
                await self._leave()
        except TimeoutError:
            log.warning("checkpoint.not_stored", job=self.attempt.job.id, waited_s=STOPPING_S)
