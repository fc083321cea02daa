"""The decider: what it says of requests and jobs, and that a crash makes it say nothing twice."""

from __future__ import annotations

from dataclasses import dataclass

import orjson
import pytest

from labelstream.classes import ClassSchema
from labelstream.events.annotation import Outcome
from labelstream.events.envelope import Envelope
from labelstream.events.training import DatasetRef, Metrics, TrainingFailed, TrainingFinished, TrainingRequested
from labelstream.jobs.memory import MemoryJobQueue
from labelstream.jobs.ports import Job, Taken
from labelstream.jobs.worker import Attempt, TryAgain
from labelstream.values import FileRef, Position, sha256_hex
from labelstream_datasets.building.build import DatasetPlan, build, store
from labelstream_datasets.building.index import BatchIndex
from labelstream_datasets.options import DatasetOptions
from trainer.domain import retry_id
from trainer.engine.contract import Progress
from trainer.handler import NAME, REQUESTS
from trainer.settings import TrainerGroup
from trainer.orders import PROGRESS, QUEUE, TrainingLeft

METRICS = Metrics(map50=0.9, map50_95=0.7, precision=0.9, recall=0.8, images=5)
TOO_FEW = ("train", "val", "test", "test")


class Killed(Exception):
    """The process ended here."""


@dataclass
class Unacknowledged:
    """A job whose taker is killed when it says done."""

    job: Job

    async def done(self) -> None:
        raise Killed


@dataclass
class DyingQueue(MemoryJobQueue):
    """A queue whose taker is killed when it acknowledges."""

    async def take(self, queue: str, wait_s: float = 1.0) -> Taken | None:
        taken = await super().take(queue, wait_s)
        return None if taken is None else Unacknowledged(taken.job)


def epoch(number: int) -> Progress:
    return Progress(
        epoch=number, epochs=2, losses={"box": 1.0}, map50=0.5, map50_95=0.3, seconds=1, eta_s=1, images_per_s=9
    )


async def train(attempt: Attempt) -> TrainingLeft:
    await attempt.put(PROGRESS, orjson.dumps([epoch(number).model_dump() for number in (1, 2)]))
    return TrainingLeft(
        weights=await attempt.put("weights", b"w"),
        architecture=await attempt.put("architecture", b"a"),
        best_epoch=2,
        validation=METRICS,
        test=METRICS,
    )


async def test_a_request_is_published_once_and_then_acknowledged(trainer):
    await trainer.ask(trainer.annotate())
    decider = await trainer.started()
    await decider.tick()
    await decider.tick()
    assert trainer.said() == ["requested"]
    assert await trainer.waiting_requests() == 0


async def test_a_crash_before_the_acknowledgement_requests_nothing_twice(trainer):
    await trainer.ask(trainer.annotate())
    dying = DyingQueue(_queues=trainer.queue._queues)
    with pytest.raises(Killed):
        await (await trainer.started(dying)).tick()
    assert trainer.said() == ["requested"]
    await dying.close()
    assert await trainer.waiting_requests() == 1
    await (await trainer.started()).tick()
    assert trainer.said() == ["requested"]
    assert await trainer.waiting_requests() == 0


async def test_a_request_waits_until_its_cut_was_augmented_however_often_it_is_delivered(trainer):
    last = trainer.annotate()
    await trainer.ask(last + 10)
    decider = await trainer.started()
    for _ in range(3):
        await decider.tick()
        await trainer.queue.close()  # the connection is lost, the request comes again
    assert (trainer.said(), len(decider.asked)) == ([], 1)
    trainer.annotate()
    await decider.tick()
    assert (trainer.said(), len(decider.asked)) == (["requested"], 0)
    assert await trainer.waiting_requests() == 0


async def test_a_request_that_is_repeated_while_it_waits_is_acknowledged_both_times(trainer):
    last = trainer.annotate()
    for _ in range(2):
        await trainer.ask(last + 10)
    decider = await trainer.started()
    await decider.tick()
    trainer.annotate()
    await decider.tick()
    assert trainer.said() == ["requested"]
    assert await trainer.waiting_requests() == 0


BOTH = {"cut": 9, "dataset": {"key": "default/datasets/d/dataset.json", "sha256": "0" * 64, "size_bytes": 2}}
FOREIGN = {"dataset": {"key": "other/datasets/d/dataset.json", "sha256": "0" * 64, "size_bytes": 2}}


@pytest.mark.parametrize("payload", [{}, {"cut": "9"}, {"cut": -5}, {"cut": True}, BOTH, FOREIGN])
async def test_a_request_without_a_cut_is_acknowledged_and_stops_nothing(trainer, payload):
    await trainer.queue.put(REQUESTS, Job(project="default", id="bad", payload=payload))
    await trainer.ask(trainer.annotate())
    await (await trainer.started()).tick()
    assert trainer.said() == ["requested"]
    assert await trainer.waiting_requests() == 0


async def built_by_hand(trainer, last) -> DatasetRef:
    """Store a dataset that the trainer's own settings would not give."""
    options = DatasetOptions(min_box_area_percent=1)
    plan = DatasetPlan("default", last, sha256_hex(b"recipe"), ClassSchema(name="cars", classes=("car",)), options)
    return await store(trainer.blobs, await build(trainer.view, trainer.index, plan))


async def test_a_training_on_a_stored_dataset_is_requested_once_and_waits_for_nothing(trainer):
    dataset = await built_by_hand(trainer, trainer.annotate())
    trainer.index = BatchIndex()  # nothing was read yet
    decider = await trainer.started()
    for _ in range(2):
        await trainer.ask_on(dataset.description)
        await decider.tick()
    (requested,) = trainer.events()
    assert isinstance(requested, TrainingRequested)
    assert (requested.cause, requested.dataset) == ("request", dataset)
    assert await trainer.waiting_requests() == 0


@pytest.mark.parametrize("harm", ["gone", "changed", "foreign"])
async def test_a_stored_dataset_that_is_not_what_was_asked_for_is_refused_and_stops_nothing(trainer, harm):
    last = trainer.annotate()
    wanted = (await built_by_hand(trainer, last)).description
    if harm == "gone":
        await trainer.blobs.delete(wanted.key)
    else:
        await trainer.blobs.put(wanted.key, b"{}")
        wanted = FileRef.of(wanted.key, b"{}") if harm == "foreign" else wanted
    await trainer.ask_on(wanted)
    await trainer.ask(last)
    decider = await trainer.started()
    await decider.tick()
    assert trainer.said() == ["requested"]
    assert decider.asked == {}
    assert await trainer.waiting_requests() == 0


@pytest.mark.parametrize("restarting", [False, True])
async def test_a_job_is_told_in_order_and_each_thing_once_even_if_the_decider_always_dies(trainer, restarting):
    await trainer.ask(trainer.annotate())
    await (await trainer.started()).tick()
    await trainer.until_ended(train, restarting=restarting)
    assert trainer.said() == ["requested", "started", "progressed", "progressed", "finished"]
    finished = trainer.events()[-1]
    assert isinstance(finished, TrainingFinished)
    assert (finished.best_epoch, finished.test, finished.dataset.test_images) == (2, METRICS, 5)
    await (await trainer.started()).tick()
    assert len(trainer.events()) == 5


async def test_a_dataset_that_is_too_small_fails_with_the_numbers_and_no_worker_sees_it(trainer):
    await trainer.ask(trainer.annotate(TOO_FEW))
    await (await trainer.started()).tick()
    assert trainer.said() == ["requested", "failed"]
    failed = trainer.events()[-1]
    assert isinstance(failed, TrainingFailed)
    assert (failed.rule, failed.reason) == ("dataset.too_small", "test has 2 images and needs 5: 3 missing")
    assert await trainer.queue.take(QUEUE, wait_s=0) is None


async def test_a_job_that_ends_every_worker_fails(trainer):
    async def burn(_: Attempt) -> TrainingLeft:
        raise TryAgain("the machine burns")

    await trainer.ask(trainer.annotate())
    await (await trainer.started()).tick()
    await trainer.until_ended(burn)
    failed = trainer.events()[-1]
    assert isinstance(failed, TrainingFailed)
    assert failed.rule == "job.too_many_attempts"


async def test_a_dataset_that_is_gone_fails_its_job_and_the_decider_goes_on(trainer):
    gone = DatasetRef(
        id="d" * 64,
        description=FileRef.of("default/datasets/gone.json", b""),
        cut=Position(stream="annotation-events", offset=0),
        samples={},
        test_images=9,
    )
    requested = TrainingRequested(job="lost", cause="policy", dataset=gone, recipe={}, recipe_digest="0" * 64)
    decider = await trainer.started()
    await decider.journal.append(NAME, [(1, Envelope.of(requested, source=NAME, answers="lost", project="default"))])
    await trainer.ask(trainer.annotate())
    await decider.tick()
    failed = trainer.events()[-1]
    assert isinstance(failed, TrainingFailed)
    assert (failed.job, failed.rule) == ("lost", "object.missing")
    taken = await trainer.queue.take(QUEUE, wait_s=0)
    assert taken is not None
    assert [state.requested.job for state in decider.book.open_jobs()] == [taken.job.id]


async def test_a_failed_training_is_requested_again_for_whoever_asks_again(trainer):
    last = trainer.annotate(TOO_FEW)
    decider = await trainer.started()
    for _ in range(3):
        await trainer.ask(last)
        await decider.tick()
    assert trainer.said() == ["requested", "failed"] * 3
    first, second, third = [e.job for e in trainer.events() if isinstance(e, TrainingRequested)]
    assert (second, third) == (retry_id(first), retry_id(retry_id(first)))


async def test_a_training_that_has_not_failed_is_not_requested_again(trainer):
    last = trainer.annotate()
    decider = await trainer.started()
    for _ in range(2):
        await trainer.ask(last)
        await decider.tick()
    await trainer.until_ended(train)
    await trainer.ask(last)
    await (await trainer.started()).tick()
    assert trainer.said().count("requested") == 1
    assert await trainer.waiting_requests() == 0


async def test_the_policy_does_not_repeat_a_training_that_failed(trainer, annotations):
    trainer.settings = TrainerGroup(min_new=4)
    last = trainer.annotate(TOO_FEW)
    decider = await trainer.started()
    await decider.tick()
    assert trainer.said() == ["requested", "failed"]
    for name in range(4):  # validated anew, as they were: the same dataset at a later cut
        for outcome, validated in (("unvalidated", False), ("validated", True)):
            last += 1
            change = Outcome(name=f"image-{name}", outcome=outcome, revision=2, validated=validated)
            trainer.view.apply(last, annotations.settled(last, change))
    trainer.view.commit()
    trainer.index.fold(1, annotations.augmented(0, last))
    await decider.tick()
    assert trainer.said() == ["requested", "failed"]
    assert decider.book.last_cuts == {"default": last}


async def test_the_policy_requests_when_enough_was_validated(trainer):
    trainer.settings = TrainerGroup(min_new=10)
    trainer.annotate()
    await (await trainer.started()).tick()
    (requested,) = trainer.events()
    assert isinstance(requested, TrainingRequested)
    assert (requested.cause, requested.dataset.cut.offset) == ("policy", 9)


async def test_each_project_says_what_its_next_training_waits_for(trainer):
    trainer.settings = TrainerGroup(min_new=100)
    trainer.projects = ("default", "other")
    trainer.annotate()
    trainer.annotate(TOO_FEW, project="other")
    await trainer.ask(1000, "other")
    await (await trainer.started()).tick()
    assert trainer.health.report()["next_training"] == {
        "default": {"validated_since_last": 10, "needed": 100, "asked_for": []},
        "other": {"validated_since_last": 4, "needed": 100, "asked_for": [1000]},
    }
