"""Somebody wants a job to end: it ends soon, whatever its worker is at, and keeps its best weights."""

from __future__ import annotations

import asyncio

import pytest

from labelstream import keys
from trainer.engine.process import EngineFailedError
from trainer.orders import CancelMark

from .conftest import EPOCHS, JOB, PROJECT, Hall, _weights
from .test_taking_over import Interruption, replaced


async def cancel(hall: Hall) -> None:
    await hall.blobs.put(
        keys.job_cancel(PROJECT, JOB), CancelMark(reason="the labels are wrong").model_dump_json().encode()
    )


async def test_a_job_that_was_cancelled_before_anybody_began_is_left_at_once(hall):
    await cancel(hall)
    await hall.order()

    left = await hall.left()

    assert (left.cancelled, left.reason, left.weights) == (True, "the labels are wrong", None)
    assert hall.engine.trained == []
    assert not hall.scratch().dataset(hall.dataset.id).joinpath("data.yaml").exists()


async def test_a_job_that_is_cancelled_in_the_middle_keeps_its_best_weights(hall):
    async def cancelled_at_4(epoch: int) -> None:
        if epoch == 4:
            await cancel(hall)
            await hall.engine.cancelled.wait()

    hall.engine.happens = cancelled_at_4
    hall.engine.best_epochs = {1, 2}
    await hall.order()

    left = await hall.left()

    assert (left.cancelled, left.best_epoch, left.validation.map50) == (True, 2, 0.8)
    assert (await hall.blobs.get(left.weights.key)).data == _weights(2)
    assert left.architecture is not None
    assert await hall.epochs_said() == [1, 2, 3]
    assert not any("checkpoint" in name for name in hall.files() - {"cancel.json"})


async def test_a_job_that_was_cancelled_after_its_worker_died_keeps_the_weights_that_lie_in_the_store(hall):
    await hall.order()
    await Interruption(hall, 4).stop()
    await cancel(hall)
    await hall.order()

    standing = await hall.worked(hall.worker("second"))

    assert b'"cancelled":true' in standing.result
    assert (await hall.said(2, "weights.safetensors")) == _weights(3)
    assert hall.engine.trained == [1, 2, 3]
    assert hall.states() == set()
    assert any("attempts/0001/best-" in name for name in hall.files())  # the job's end may be said to be that


async def test_a_job_that_waits_for_room_on_the_disk_can_be_cancelled(hall):
    async def full(epoch: int) -> None:
        await cancel(hall)
        raise EngineFailedError("disk-full", "no room", "")

    hall.engine.happens = full
    hall.options = replaced(hall.options, disk_patience_s=3600, disk_pause_s=3600)
    await hall.order()

    left = await hall.left()

    assert (left.cancelled, left.weights) == (True, None)


async def test_a_mark_that_can_t_be_read_counts(hall):
    await hall.blobs.put(keys.job_cancel(PROJECT, JOB), b"stop it!")
    await hall.order()

    left = await hall.left()

    assert (left.cancelled, left.reason) == (True, "")


@pytest.mark.parametrize("epoch", [1, EPOCHS])
async def test_a_store_that_is_away_while_the_worker_looks_ends_nothing(hall, epoch):
    async def go_away(number: int) -> None:
        if number == epoch:
            hall.blobs.away = "maintenance"
            await asyncio.sleep(0.5)
            hall.blobs.away = None

    hall.engine.happens = go_away
    await hall.order()

    assert not (await hall.left()).cancelled
