"""What is told of jobs that change hands, recover or are cancelled; and what they are compared with."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from labelstream import keys
from labelstream.blobs.leases import Lease, Leases
from labelstream.blobs.memory import MemoryBlobs
from labelstream.events.envelope import Envelope
from labelstream.events.training import (
    ChampionMetrics,
    TrainingCancelled,
    TrainingFinished,
    TrainingProgressed,
    TrainingRecovered,
    TrainingStarted,
)
from labelstream.jobs.desk import MAX_FAILURES
from labelstream.jobs.ports import Job
from labelstream.jobs.worker import LEASE, RESULT, Attempt
from labelstream.values import FileRef
from trainer.engine.best import HEADER, Best
from trainer.engine.contract import ARCHITECTURE, Adjustments, Recovery
from trainer.orders import CHECKPOINTS, PROGRESS, QUEUE, RECOVERIES, Checkpoint, TrainingLeft, TrainingOrder

from .deeds import METRICS, promoted, recovery, train, write_epochs, write_recoveries

LEASE_S = 20


class Shift:
    """Workers that take one job in turn; the lease of one that died lapses when the store's clock is put on."""

    def __init__(self, trainer) -> None:
        self.trainer = trainer
        self.time = datetime(2030, 1, 1, tzinfo=UTC)
        trainer.blobs = MemoryBlobs(clock=lambda: self.time)
        self.job = ""
        self.lease: Lease | None = None

    async def open(self) -> None:
        """Request a job."""
        await self.trainer.ask(self.trainer.annotate())
        await self.tick()
        self.job = self.trainer.events()[0].job

    async def begin(self, worker: str) -> Attempt:
        """Take the job, or take it over."""
        self.lease = await Leases(self.trainer.blobs, worker, LEASE_S).claim(keys.job("default", self.job, LEASE))
        assert self.lease is not None
        job = Job(project="default", id=self.job)
        return Attempt(job, self.lease.attempt, self.trainer.blobs, self.trainer.health)

    def die(self) -> None:
        """Let the worker's lease lapse."""
        self.time += timedelta(seconds=LEASE_S + 2)

    async def finish(self, attempt: Attempt, left: TrainingLeft) -> None:
        """End the job."""
        assert self.lease is not None
        await attempt.put(RESULT, left.model_dump_json().encode())
        await self.lease.finish()

    async def cancel(self, reason: str = "") -> str:
        """Ask for the job's end; return the outcome."""
        answer = await self.trainer.put({"cancel": self.job, "reason": reason})
        await self.tick()
        outcome, _, _ = await self.trainer.answered(answer)
        return str(outcome)

    async def tick(self) -> None:
        """Let a decider that knows nothing but the stream look once."""
        await (await self.trainer.started()).tick()

    def told(self) -> list[tuple[str, int, int]]:
        """Type, attempt and epoch of what was told since the request."""
        return [
            (event.type.removeprefix("training."), event.attempt, getattr(event, "epoch", 0))
            for event in self.trainer.events()[1:]
        ]


@pytest.fixture
async def shift(trainer) -> Shift:
    shift = Shift(trainer)
    await shift.open()
    return shift


# ---- epochs and recoveries


async def test_an_epoch_that_a_second_worker_trains_again_is_told_once(shift):
    first = await shift.begin("first")
    await write_epochs(first, (1, 2, 3))
    await shift.tick()
    shift.die()
    second = await shift.begin("second")
    await write_epochs(second, (1, 2))  # from the checkpoint after the first epoch
    await shift.tick()
    await write_epochs(second, (1, 2, 3, 4))
    await shift.tick()
    assert shift.told() == [
        ("started", 1, 0), ("progressed", 1, 1), ("progressed", 1, 2), ("progressed", 1, 3),
        ("started", 2, 0), ("progressed", 2, 4),
    ]  # fmt: skip


async def test_what_a_worker_wrote_while_nobody_decided_is_told_before_its_successor_starts(shift):
    first = await shift.begin("first")
    await write_epochs(first, (1, 2))
    await write_recoveries(first, [recovery("engine-died", 1)])
    shift.die()
    second = await shift.begin("second")
    await write_epochs(second, (1, 2, 3))
    await shift.tick()
    assert shift.told() == [
        ("progressed", 1, 1), ("recovered", 1, 1), ("progressed", 1, 2), ("started", 2, 0), ("progressed", 2, 3),
    ]  # fmt: skip


async def test_what_a_dead_worker_writes_after_it_was_taken_over_is_not_told(shift):
    first = await shift.begin("first")
    await write_epochs(first, (1,))
    shift.die()
    await shift.begin("second")
    await shift.tick()
    await write_epochs(first, (1, 2, 3))
    await write_recoveries(first, [recovery("not-finite", 1)])
    await shift.tick()
    assert shift.told() == [("progressed", 1, 1), ("started", 2, 0)]


async def test_recoveries_are_told_once_in_order_and_after_the_epochs_that_stand(shift):
    attempt = await shift.begin("worker")
    await write_epochs(attempt, (1, 2, 3))
    happened: list[Recovery] = [recovery("out-of-memory", 0), recovery("not-finite", 2)]
    await write_recoveries(attempt, happened)
    await shift.tick()
    await write_recoveries(attempt, [*happened, recovery("not-finite", 2)])  # the same again happened again
    await shift.tick()
    await shift.tick()
    assert shift.told() == [
        ("started", 1, 0), ("recovered", 1, 0), ("progressed", 1, 1), ("progressed", 1, 2), ("recovered", 1, 2),
        ("progressed", 1, 3), ("recovered", 1, 2),
    ]  # fmt: skip
    told = next(event for event in shift.trainer.events() if isinstance(event, TrainingRecovered))
    assert (told.rule, told.batch, told.learning_rate_scale, told.reason) == ("out-of-memory", 8, 0.5, "it happens")


async def test_what_did_not_change_is_not_read_again(shift):
    attempt = await shift.begin("worker")
    await write_epochs(attempt, (1,))
    decider = await shift.trainer.started()
    await decider.tick()
    read = []
    get = shift.trainer.blobs.get

    async def counted(key, most_bytes=None):
        read.append(key.rpartition("/")[2])
        return await get(key, most_bytes)

    shift.trainer.blobs.get = counted
    await decider.tick()
    assert "progress.json" not in read
    await write_epochs(attempt, (1, 2))
    await decider.tick()
    assert "progress.json" in read
    assert [event.epoch for event in shift.trainer.events() if isinstance(event, TrainingProgressed)] == [1, 2]


@pytest.mark.parametrize("name", [PROGRESS, RECOVERIES])
async def test_what_can_t_be_understood_of_a_worker_s_words_ends_neither_its_job_nor_the_decider(shift, name):
    attempt = await shift.begin("a worker of another version")
    await write_epochs(attempt, (1,))
    await attempt.put(name, b'[{"said": "otherwise"}]')
    await shift.tick()
    await shift.finish(attempt, await train(Attempt(attempt.job, 9, shift.trainer.blobs, shift.trainer.health)))
    await shift.tick()
    assert shift.told()[0] == ("started", 1, 0)
    assert shift.told()[-1] == ("finished", 1, 0)


async def test_whoever_takes_a_job_from_the_queue_that_was_given_up_is_told_to_leave_it(shift):
    for _ in range(MAX_FAILURES):
        await shift.begin("worker")
        await shift.lease.release(failed=True, reason="it burns")
    await shift.tick()
    assert shift.told()[-1][0] == "failed"
    assert await shift.trainer.mark(shift.job) == "it was given up"


# ---- cancelling


async def test_a_mark_that_can_t_be_understood_ends_the_job_all_the_same(shift):
    await shift.trainer.blobs.put(keys.job_cancel("default", shift.job), b"damaged")
    await shift.tick()
    assert shift.told() == [("cancelled", 0, 0)]


async def best_weights(attempt: Attempt, epoch: int) -> FileRef:
    """Store weights that say of which epoch they are: a header, and nothing behind it."""
    said = Best(epoch=epoch, validation=METRICS).model_dump_json()
    header = json.dumps({"__metadata__": {HEADER: said}}).encode()
    return await attempt.put(f"best-{epoch}.safetensors", len(header).to_bytes(8, "little") + header)


async def write_checkpoint(attempt: Attempt, *best: FileRef) -> FileRef:
    """Store checkpoints with these best weights, the newest first; return their architecture."""
    state = await attempt.put("checkpoint.pt", b"state")
    network = await attempt.put(ARCHITECTURE, b"{}")
    stored = [
        Checkpoint(epoch=9 - age, state=state, best=one, adjustments=Adjustments(), history=(), architecture=network)
        for age, one in enumerate(best)
    ]
    await attempt.put(CHECKPOINTS, json.dumps([each.model_dump(mode="json") for each in stored]).encode())
    return network


async def test_a_worker_that_finds_the_mark_ends_the_job_with_its_best_weights(shift):
    attempt = await shift.begin("worker")
    await write_epochs(attempt, (1, 2))
    await shift.tick()
    assert await shift.cancel("enough") == "cancelling"
    assert await shift.trainer.mark(shift.job) == "enough"
    assert "cancelled" not in shift.trainer.said()
    weights = await attempt.put("weights.safetensors", b"w")
    await shift.finish(
        attempt,
        TrainingLeft(cancelled=True, reason="enough", weights=weights, best_epoch=2, validation=METRICS),
    )
    await shift.tick()
    assert shift.trainer.events()[-1] == TrainingCancelled(
        job=shift.job, attempt=1, reason="enough", weights=weights, best_epoch=2, validation=METRICS
    )


async def test_a_worker_that_was_quicker_finishes_the_job(shift):
    attempt = await shift.begin("worker")
    await shift.tick()
    assert await shift.cancel() == "cancelling"
    await shift.finish(attempt, await train(attempt))
    await shift.tick()
    assert isinstance(shift.trainer.events()[-1], TrainingFinished)


async def test_a_job_whose_worker_is_dead_is_cancelled_with_the_best_weights_of_its_newest_checkpoint(shift):
    first = await shift.begin("first")
    await write_checkpoint(first, await best_weights(first, 1))
    shift.die()
    second = await shift.begin("second")
    best = await best_weights(second, 5)
    architecture = await write_checkpoint(second, best, await best_weights(second, 3))
    shift.die()
    assert await shift.cancel("the machine is gone") == "cancelled"
    assert shift.trainer.events()[-1] == TrainingCancelled(
        job=shift.job,
        attempt=2,
        reason="the machine is gone",
        weights=best,
        architecture=architecture,
        best_epoch=5,
        validation=METRICS,
    )
    assert await shift.trainer.queue.take(QUEUE, wait_s=0) is not None  # the first offer; its taker finds the mark


@pytest.mark.parametrize("harm", ["gone", "no header", "nothing stored"])
async def test_weights_that_are_gone_or_say_nothing_give_way_to_older_ones_or_none(shift, harm):
    attempt = await shift.begin("worker")
    older = await best_weights(attempt, 3)
    newer = await attempt.put("best-5.safetensors", b"\xff" * 40)
    if harm == "gone":
        await shift.trainer.blobs.delete(newer.key)
    if harm != "nothing stored":
        await write_checkpoint(attempt, newer, older)
    shift.die()
    await shift.cancel()
    cancelled = shift.trainer.events()[-1]
    assert isinstance(cancelled, TrainingCancelled)
    expected = (None, None) if harm == "nothing stored" else (older, 3)
    assert (cancelled.weights, cancelled.best_epoch) == expected


async def test_a_cancelled_job_whose_worker_dies_before_it_sees_the_mark_is_not_given_to_another(shift):
    await shift.begin("worker")
    await shift.tick()
    assert await shift.cancel("enough") == "cancelling"
    shift.die()
    await shift.tick()  # a decider that was started since: it finds the mark
    assert shift.trainer.events()[-1] == TrainingCancelled(job=shift.job, attempt=1, reason="enough")


# ---- the champion


async def test_a_job_is_offered_with_the_model_in_service_and_tells_how_it_compares(shift):
    attempt = await shift.begin("worker")
    await shift.finish(attempt, await train(attempt))
    await shift.tick()
    finished = shift.trainer.events()[-1]
    assert isinstance(finished, TrainingFinished)
    for event in promoted("model-1", shift.job):
        shift.trainer.champions.fold(0, Envelope.of(event, source="exporter", answers="x", project="default"))

    await shift.trainer.queue.take(QUEUE, wait_s=0)
    await shift.trainer.ask(shift.trainer.annotate())
    await shift.tick()
    taken = await shift.trainer.queue.take(QUEUE, wait_s=0)
    assert taken is not None
    champion = TrainingOrder.model_validate(taken.job.payload).champion
    assert champion is not None
    assert (champion.id, champion.weights, champion.architecture) == (
        "model-1", finished.weights, finished.architecture,
    )  # fmt: skip

    shift.job = taken.job.id
    attempt = await shift.begin("worker")
    compared = ChampionMetrics(model="model-1", test=METRICS, difference=0.02)
    await shift.finish(attempt, (await train(attempt)).model_copy(update={"champion": compared}))
    await shift.tick()
    finished = shift.trainer.events()[-1]
    assert isinstance(finished, TrainingFinished)
    assert finished.champion == compared


async def test_a_job_that_another_worker_takes_over_says_who_did(shift):
    await shift.begin("first")
    await shift.tick()
    shift.die()
    await shift.begin("second")
    await shift.tick()
    started = [event for event in shift.trainer.events() if isinstance(event, TrainingStarted)]
    assert [(event.attempt, event.worker) for event in started] == [(1, "first"), (2, "second")]
