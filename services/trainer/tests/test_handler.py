"""The decider: what it says of jobs, and that a crash makes it say nothing twice."""

from __future__ import annotations

import pytest

from labelstream.events.envelope import Envelope
from labelstream.events.training import (
    DatasetRef,
    TrainingFailed,
    TrainingFinished,
    TrainingProgressed,
    TrainingRequested,
)
from labelstream.jobs.worker import Attempt, TryAgain
from labelstream.values import FileRef, Position
from trainer.handler import NAME
from trainer.orders import QUEUE, TrainingLeft

from .deeds import ALL, METRICS, TOO_FEW, train


@pytest.mark.parametrize("restarting", [False, True])
async def test_a_job_is_told_in_order_and_each_thing_once_even_if_the_decider_always_dies(trainer, restarting):
    await trainer.ask(trainer.annotate())
    await (await trainer.started()).tick()
    await trainer.until_ended(train, restarting=restarting)
    assert trainer.said() == [*ALL]
    finished = trainer.events()[-1]
    assert isinstance(finished, TrainingFinished)
    assert (finished.best_epoch, finished.test, finished.dataset.test_images) == (2, METRICS, 5)
    assert (finished.epochs, finished.seconds, finished.champion) == (2, 4.0, None)
    assert finished.report is not None
    await (await trainer.started()).tick()
    assert len(trainer.events()) == 5


async def test_an_epoch_is_told_with_what_its_worker_measured_and_nothing_it_did_not(trainer):
    await trainer.ask(trainer.annotate())
    await (await trainer.started()).tick()
    await trainer.until_ended(train)
    first = next(event for event in trainer.events() if isinstance(event, TrainingProgressed))
    assert (first.epoch, first.epochs, first.images_per_s, first.losses) == (1, 2, 9, {"box": 1.0})
    assert (first.memory_bytes, first.batch, first.learning_rate) == (None, None, None)


async def test_a_dataset_that_is_too_small_fails_with_the_numbers_and_no_worker_sees_it(trainer):
    await trainer.ask(trainer.annotate(TOO_FEW))
    await (await trainer.started()).tick()
    assert trainer.said() == ["requested", "failed"]
    failed = trainer.events()[-1]
    assert isinstance(failed, TrainingFailed)
    assert (failed.rule, failed.reason) == ("dataset.too_small", "test has 2 images and needs 5: 3 missing")
    assert await trainer.queue.take(QUEUE, wait_s=0) is None


@pytest.mark.parametrize("least", [1, 0])
async def test_a_class_without_samples_is_refused_or_where_that_is_allowed_named(trainer, least):
    trainer.classes = ("car", "truck")
    trainer.settings = trainer.settings.model_copy(update={"min_train_images_per_class": least})
    await trainer.ask(trainer.annotate())
    await (await trainer.started()).tick()
    requested = trainer.events()[0]
    assert isinstance(requested, TrainingRequested)
    assert requested.warnings == ("the class truck has no training image, and no test images",)
    if least:
        failed = trainer.events()[-1]
        assert isinstance(failed, TrainingFailed)
        assert failed.rule == "dataset.class_too_small"
        assert failed.reason == "the class truck has 0 training images and needs 1: 1 missing"
    else:
        assert trainer.said() == ["requested"]
        assert await trainer.queue.take(QUEUE, wait_s=0) is not None


async def test_a_job_that_ends_every_worker_fails(trainer):
    async def burn(_: Attempt) -> TrainingLeft:
        raise TryAgain("the machine burns")

    await trainer.ask(trainer.annotate())
    await (await trainer.started()).tick()
    await trainer.until_ended(burn)
    failed = trainer.events()[-1]
    assert isinstance(failed, TrainingFailed)
    assert failed.rule == "job.too_many_attempts"


async def test_a_worker_that_leaves_half_a_result_fails_the_job_with_what_is_missing(trainer):
    async def forget(attempt: Attempt) -> TrainingLeft:
        return TrainingLeft(weights=await attempt.put("weights", b"w"), best_epoch=1, validation=METRICS)

    await trainer.ask(trainer.annotate())
    await (await trainer.started()).tick()
    await trainer.until_ended(forget)
    failed = trainer.events()[-1]
    assert isinstance(failed, TrainingFailed)
    assert (failed.rule, failed.reason) == (
        "job.unreadable_result", "architecture: Field required; test: Field required",
    )  # fmt: skip


async def say_requested(decider, recipe=None) -> None:
    """Say that a training on a dataset that is gone is due."""
    gone = DatasetRef(
        id="d" * 64,
        description=FileRef.of("default/datasets/gone.json", b""),
        cut=Position(stream="annotation-events", offset=0),
        samples={},
        test_images=9,
    )
    requested = TrainingRequested(job="lost", cause="policy", dataset=gone, recipe=recipe or {}, recipe_digest="0" * 64)
    envelope = Envelope.of(requested, source=NAME, answers="lost", project="default")
    await decider.following.voice.journal.append(NAME, [(1, envelope)])


async def test_a_dataset_that_is_gone_fails_its_job_and_the_decider_goes_on(trainer):
    decider = await trainer.started()
    await say_requested(decider)
    await trainer.ask(trainer.annotate())
    await decider.tick()
    failed = trainer.events()[-1]
    assert isinstance(failed, TrainingFailed)
    assert (failed.job, failed.rule) == ("lost", "object.missing")
    taken = await trainer.queue.take(QUEUE, wait_s=0)
    assert taken is not None
    assert [state.job for state in decider.book.open_jobs()] == [taken.job.id]


async def test_a_recipe_of_another_time_that_can_not_be_trained_any_more_fails_its_job(trainer):
    decider = await trainer.started()
    await say_requested(decider, {"epochs": "many"})
    await decider.tick()
    failed = trainer.events()[-1]
    assert isinstance(failed, TrainingFailed)
    assert failed.rule == "recipe.unreadable"
    assert failed.reason.startswith("epochs: Input should be a valid integer")


async def test_the_jobs_under_way_are_a_fact_for_whoever_asks(trainer):
    await trainer.ask(trainer.annotate())
    decider = await trainer.started()
    await decider.tick()
    (fact,) = trainer.health.report()["trainings"]
    assert (fact["state"], fact["epoch"], fact["epochs"], fact["map50"]) == ("requested", 0, 100, None)
    await trainer.until_ended(train)
    await (await trainer.started()).tick()
    assert trainer.health.report()["trainings"] == []
