"""A training goes on elsewhere: from the checkpoints that the attempts before left in the store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from labelstream import keys
from labelstream.blobs.leases import Leases
from trainer.engine import checkpoints
from trainer.engine.contract import BEST, CHECKPOINT

from .conftest import EPOCHS, JOB, PROJECT, Hall


class Interruption:
    """Lets the engine come to an epoch, and holds it there until the worker is ended; `when` the hall is so."""

    def __init__(self, hall: Hall, epoch: int, when: Callable[[], bool] = lambda: True) -> None:
        self.hall, self.epoch, self.when = hall, epoch, when
        self.reached = asyncio.Event()
        hall.engine.happens = self

    async def __call__(self, epoch: int) -> None:
        if epoch > 1 and self.hall.options.checkpoint_every_s == 0:
            await self.hall.until_stored(epoch - 1)
        if epoch == self.epoch:
            self.hall.engine.happens = None
            async with asyncio.timeout(10):
                while not self.when():  # noqa: ASYNC110  # a store tells nobody
                    await asyncio.sleep(0.001)
            self.reached.set()
            await asyncio.Event().wait()

    async def stop(self, name: str = "first") -> None:
        """Run a worker up to there, and ask it to stop."""
        running = asyncio.create_task(self.hall.worker(name).run())
        await self.reached.wait()
        running.cancel()
        await asyncio.wait([running])

    async def kill(self, name: str = "first") -> None:
        """Run a worker up to there, and end it without a last word; its lease lapses."""
        running = asyncio.create_task(self.hall.worker(name).run())
        await self.reached.wait()
        key = keys.job(PROJECT, JOB, "lease.json")
        now = datetime.now(UTC) + timedelta(seconds=60)
        self.hall.blobs.clock = lambda: now
        assert await Leases(self.hall.blobs, "undertaker", 0).claim(key) is not None
        self.hall.blobs.clock = lambda: now + timedelta(seconds=60)
        running.cancel()
        await asyncio.wait([running])


async def test_a_worker_that_is_told_to_stop_leaves_its_checkpoint_and_another_goes_on_from_there(hall):
    hall.options = replaced(hall.options, checkpoint_every_s=3600)
    await hall.order()
    await Interruption(hall, 4).stop()
    assert "attempts/0001/checkpoint-00003.pt" in hall.files()

    await hall.order()
    standing = await hall.worked(hall.worker("second"))

    assert standing.attempt == 2
    assert hall.engine.trained == list(range(1, EPOCHS + 1))
    assert await hall.epochs_said(2) == list(range(1, EPOCHS + 1))  # also what the first may not have told


async def test_a_dead_worker_s_training_goes_on_from_what_it_stored(hall):
    await hall.order()
    await Interruption(hall, 4).kill()

    await hall.order()
    standing = await hall.worked(hall.worker("second"))

    assert standing.attempt == 3  # the undertaker's was the second
    assert hall.engine.trained == list(range(1, EPOCHS + 1))


async def test_where_nothing_was_stored_a_training_begins_anew(hall):
    await hall.order()
    await Interruption(hall, 1).kill()

    await hall.order()
    await hall.worked(hall.worker("second"))

    assert hall.engine.trained == list(range(1, EPOCHS + 1))


async def test_a_damaged_checkpoint_in_the_store_makes_way_for_the_one_before_and_that_is_said(hall):
    await hall.order()
    await Interruption(hall, 5).stop()
    await hall.blobs.put(keys.attempt(PROJECT, JOB, 1, "checkpoint-00004.pt"), b"damaged")

    await hall.order()
    await hall.worked(hall.worker("second"))

    assert hall.engine.trained == [1, 2, 3, 4, 4, 5, 6]
    (recovery,) = json.loads(await hall.said(2, "recoveries.json"))
    assert (recovery["rule"], recovery["epoch"]) == ("checkpoint-damaged", 3)
    assert "checkpoint-00004.pt" in recovery["reason"]


async def test_when_every_stored_checkpoint_is_damaged_the_training_begins_anew(hall):
    await hall.order()
    await Interruption(hall, 5).stop()
    await hall.blobs.delete(keys.attempt(PROJECT, JOB, 1, "checkpoint-00004.pt"))
    await hall.blobs.put(keys.attempt(PROJECT, JOB, 1, "checkpoint-00003.pt"), b"damaged")

    await hall.order()
    await hall.worked(hall.worker("second"))

    assert hall.engine.trained == [1, 2, 3, 4, 1, 2, 3, 4, 5, 6]
    assert await hall.rules_said(2) == ["checkpoint-damaged"] * 2


async def test_a_list_of_checkpoints_that_can_t_be_read_is_said_and_not_believed(hall):
    await hall.order()
    await Interruption(hall, 3).stop()
    await hall.blobs.put(keys.attempt(PROJECT, JOB, 1, "checkpoints.json"), b'[{"epoch": 2}]')

    await hall.order()
    await hall.worked(hall.worker("second"))

    assert await hall.rules_said(2) == ["checkpoint-damaged"]
    assert hall.engine.trained == [1, 2, 1, 2, 3, 4, 5, 6]


async def test_a_checkpoint_on_this_machine_s_own_disk_is_taken_when_it_is_newer(hall):
    hall.options = replaced(hall.options, checkpoint_every_s=3600)
    await hall.order()
    await Interruption(hall, 5, when=lambda: bool(hall.states())).kill()

    await hall.order()
    await hall.worked(hall.worker("first"))

    assert hall.engine.trained == list(range(1, EPOCHS + 1))


async def test_two_checkpoints_are_kept_in_the_store_and_best_weights_for_as_long_as_they_are_named(hall):
    hall.engine.best_epochs = {1, 2}
    await hall.order()

    two = {"0001/checkpoint-00004.pt", "0001/checkpoint-00005.pt"}
    await Interruption(hall, 6, when=lambda: hall.states() == two).stop()

    assert len({name for name in hall.files() if "best-" in name}) == 1


async def test_what_attempts_before_stored_goes_when_it_is_older_than_the_last_two(hall):
    await hall.order()
    await Interruption(hall, 3).stop()
    await hall.order()

    two = {"0002/checkpoint-00004.pt", "0002/checkpoint-00005.pt"}
    await Interruption(hall, 6, when=lambda: hall.states() == two).stop("second")

    assert hall.states() == two


async def test_a_store_that_stays_away_does_not_keep_a_worker_from_stopping(hall, monkeypatch):
    monkeypatch.setattr("trainer.work.training.STOPPING_S", 0.05)
    await hall.order()
    interruption = Interruption(hall, 4)
    running = asyncio.create_task(hall.worker().run())
    await interruption.reached.wait()
    hall.blobs.away = "maintenance"
    running.cancel()

    async with asyncio.timeout(10):
        await asyncio.wait([running])

    assert running.cancelled()


@pytest.mark.parametrize("torn", ["best is of a later epoch", "there is no best"])
async def test_checkpoint_and_weights_that_do_not_go_together_are_not_stored(hall, torn):
    await hall.order()
    interruption = Interruption(hall, 3)

    async def tear(epoch: int) -> None:
        if epoch == 3:
            folder = hall.engine.specs[0].out_dir
            await hall.until_stored(2)
            (folder / BEST).unlink()
            if torn == "best is of a later epoch":
                (folder / BEST).write_bytes(b"later")
            (folder / CHECKPOINT).unlink()
            head = checkpoints.standing(folder).model_copy(update={"epoch": 3, "best_sha256": "e" * 64})
            checkpoints.write(folder, head, memoryview(b"state"))
        await interruption(epoch)

    hall.engine.happens = tear
    await interruption.stop()

    assert not any("checkpoint-00003" in name for name in hall.files())


def replaced(options, **changes):
    return type(options)(**vars(options) | changes)
