"""One worker and one job, undisturbed and otherwise."""

from __future__ import annotations

import asyncio
import json

import pytest
from structlog.testing import capture_logs

from labelstream import keys
from labelstream.events.training import WeightsRef
from labelstream.jobs.ports import Job
from labelstream.values import FileRef
from trainer.engine.process import EngineFailedError
from trainer.orders import QUEUE

from .conftest import EPOCHS, JOB, PROJECT


async def test_a_training_leaves_weights_evaluation_report_epochs_and_log(hall):
    await hall.order()

    left = await hall.left()

    for file in (left.weights, left.architecture, left.evaluation, left.report, left.card):
        assert FileRef.of(file.key, (await hall.blobs.get(file.key)).data) == file
    assert (left.cancelled, left.best_epoch, left.epochs, left.test.map50) == (False, EPOCHS, EPOCHS, 0.8)
    assert await hall.epochs_said() == list(range(1, EPOCHS + 1))
    assert (await hall.said(1, "log.txt")).decode().splitlines()[-1] == f"epoch {EPOCHS} trained"


async def test_nothing_that_only_an_unfinished_job_needs_is_left_of_a_finished_one(hall):
    await hall.order()

    await hall.left()

    assert {name.rpartition("/")[2] for name in hall.files()} == {
        "lease.json", "result.json", "progress.json", "log.txt",
        "weights.safetensors", "architecture.json", "evaluation.json", "report.html", "card.md",
    }  # fmt: skip
    assert not hall.scratch().job(JOB).exists()
    assert (hall.scratch().dataset(hall.dataset.id) / "data.yaml").exists()  # the next job may want it


async def test_the_engine_is_given_the_dataset_laid_out_and_the_worker_s_device(hall):
    await hall.order()

    await hall.left()

    spec = hall.engine.specs[0]
    assert (spec.data / "test" / "images" / "test-0.jpg").read_bytes() == b"pixels of test 0"
    assert spec.device == "auto"


async def test_a_store_that_is_away_holds_no_epoch_up_and_is_told_everything_afterwards(hall):
    async def go_away(epoch: int) -> None:
        if epoch == 2:
            await hall.until_stored(1)
            hall.blobs.away = "maintenance"
        if epoch == EPOCHS:
            hall.blobs.away = None

    hall.engine.happens = go_away
    await hall.order()

    await hall.left()

    assert hall.engine.trained == list(range(1, EPOCHS + 1))
    assert await hall.epochs_said() == list(range(1, EPOCHS + 1))


async def test_an_outage_that_outlives_the_lease_costs_no_attempt(hall):
    async def go_away(epoch: int) -> None:
        if epoch == 3:
            hall.blobs.away = "maintenance"
            await asyncio.sleep(0.2)  # four lives of the lease
            hall.blobs.away = None

    hall.engine.happens = go_away
    await hall.order()

    standing = await hall.worked(hall.worker(ttl_s=0.05))

    assert (standing.attempt, standing.failure) == (1, None)
    assert hall.engine.trained == list(range(1, EPOCHS + 1))


@pytest.mark.parametrize("rule", ["out-of-memory", "not-finite", "engine-error"])
async def test_what_the_engine_gives_up_on_ends_the_job_with_its_rule_and_reason(hall, rule):
    async def fail(epoch: int) -> None:
        if epoch == 2:
            raise EngineFailedError(rule, "the numbers", "the log")

    hall.engine.happens = fail
    await hall.order()

    standing = await hall.worked()

    assert (standing.failure.rule, standing.failure.reason) == (f"training.{rule}", "the numbers")
    assert await hall.epochs_said() == [1]
    assert b"epoch 1 trained" in await hall.said(1, "log.txt")


async def test_an_engine_that_keeps_dying_is_left_to_another_worker_with_its_checkpoint(hall):
    async def die(epoch: int) -> None:
        if epoch == 3:
            raise EngineFailedError("engine-died", "it was killed by SIGKILL", "")

    hall.engine.happens = die
    await hall.order()

    standing = await hall.worked()

    assert (standing.state, standing.attempt) == ("released", 1)
    assert "attempts/0001/checkpoint-00002.pt" in hall.files()


async def test_an_order_that_can_t_be_read_is_a_failure_that_says_so(hall):
    await hall.queue.put(QUEUE, Job(project=PROJECT, id=JOB, payload={"recipe": "yes, please"}))

    standing = await hall.worked()

    assert standing.failure.rule == "training.order-unreadable"
    assert "dataset" in standing.failure.reason


async def test_a_report_that_can_t_be_written_costs_no_training(hall):
    async def fail(*_: object) -> None:
        raise ZeroDivisionError("no test image")

    hall.write = fail
    await hall.order()

    with capture_logs() as logs:
        left = await hall.left()

    assert [line["job"] for line in logs if line["event"] == "report.not_written"] == [JOB]
    assert left.weights is not None
    assert (left.report, left.card) == (None, None)
    assert "no test image" in hall.health.report()["degraded"]["report"]


async def test_a_champion_that_is_gone_is_not_compared_with(hall):
    gone = FileRef.of("default/gone", b"gone")
    await hall.order(champion=WeightsRef(id="m", weights=gone, architecture=gone))

    left = await hall.left()

    assert hall.engine.specs[0].champion is None
    assert left.champion is None


async def test_champion_and_first_weights_are_fetched_for_the_engine(hall):
    stored = FileRef.of("default/network", b"a network")
    await hall.blobs.put(stored.key, b"a network")
    reference = WeightsRef(id="m", weights=stored, architecture=stored)
    seen: list[bytes] = []

    async def look(epoch: int) -> None:
        if epoch == 1:
            spec = hall.engine.specs[0]
            seen.extend(network.weights.read_bytes() for network in (spec.initial, spec.champion))

    hall.engine.happens = look
    await hall.order(champion=reference, initial=reference)

    await hall.left()

    assert seen == [b"a network"] * 2


async def test_first_weights_that_are_gone_end_the_job(hall):
    gone = FileRef.of("default/gone", b"gone")
    await hall.order(initial=WeightsRef(id="m", weights=gone, architecture=gone))

    standing = await hall.worked()

    assert standing.failure.rule == "object.missing"


async def test_only_the_end_of_a_long_log_is_kept_from_the_beginning_of_a_line(hall):
    async def chatter(epoch: int) -> None:
        if epoch == EPOCHS:
            with (hall.engine.specs[0].out_dir / "engine.log").open("a") as log:
                log.write("a line of chatter\n" * 100_000)

    hall.engine.happens = chatter
    await hall.order()

    await hall.left()

    log = (await hall.said(1, "log.txt")).decode()
    assert 900_000 < len(log) <= 1 << 20
    assert log.startswith("a line of chatter\n")
    assert log.endswith(f"epoch {EPOCHS} trained\n")


async def test_an_epoch_that_was_trained_again_stands_once_and_as_it_was_last(hall):
    async def say_again(epoch: int) -> None:
        if epoch == 4:
            hall.engine.happens = None
            raise EngineFailedError("disk-full", "no room", "")

    hall.engine.happens = say_again
    await hall.order()

    await hall.left()

    assert [each["epoch"] for each in json.loads(await hall.said(1, "progress.json"))] == list(range(1, EPOCHS + 1))
    assert keys.attempt(PROJECT, JOB, 2, "progress.json") not in hall.files()
