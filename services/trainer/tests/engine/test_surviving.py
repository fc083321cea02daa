"""Trainings that something happens to. Taking up is exact on a CPU: the weights must be those of an undisturbed one."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
from pathlib import Path

import pytest

from labelstream.values import sha256_file
from trainer.engine import checkpoints
from trainer.engine.contract import CHECKPOINT, CHECKPOINT_BEFORE, Progress, Recovery, TrainingSpec
from trainer.engine.process import EngineFailedError
from trainer.recipe import OnTheFly, TrainingRecipe

from .listening import Listener, kill_engine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PREPROCESS = "trainer.engine.training:Training.preprocess_batch"
STEPS = 6  # of an epoch


@pytest.fixture(scope="session")
def recipe() -> TrainingRecipe:
    """Mosaics of images that are not kept, and a last epoch without them: what is hardest to take up."""
    return TrainingRecipe(
        architecture="small", image_size=96, epochs=3, batch=8, lr0=0.006, warmup_epochs=1.5,
        on_the_fly=OnTheFly(mosaic=0.5, fliplr=0.5, hsv_v=0.3, scale=0.2, close_mosaic=1),
    )  # fmt: skip


@pytest.fixture(scope="session")
async def undisturbed(scenes, recipe, tmp_path_factory) -> tuple[str, list[Progress]]:
    """The digest of the weights, and what was told of each epoch."""
    listener = Listener()
    spec = TrainingSpec(data=scenes, recipe=recipe, out_dir=tmp_path_factory.mktemp("undisturbed"))
    result = await listener.train(spec)
    return sha256_file(result.weights), listener.epochs


@pytest.fixture
def spec(scenes, recipe, tmp_path) -> TrainingSpec:
    return TrainingSpec(data=scenes, recipe=recipe, out_dir=tmp_path)


@pytest.fixture
def faulty(monkeypatch):
    """Returns the module of an engine with the faults that are given."""

    def arm(*faults: dict[str, object]) -> str:
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "faults"))
        monkeypatch.setenv("FAULTS", json.dumps(faults))
        return "faulty_engine"

    return arm


def deeds(epochs: list[Progress]) -> list[tuple[object, ...]]:
    """What must be the same for whoever trained the epochs."""
    return [(p.epoch, p.losses, p.map50, p.map50_95, p.batch, p.learning_rate) for p in epochs]


def make_anothers(path: Path, scratch: Path) -> None:
    """Make a checkpoint one of another training, whole in itself."""
    scratch.mkdir()
    head = checkpoints.whole(path).model_copy(update={"identity": "of another training"})
    checkpoints.write(scratch, head, memoryview(checkpoints.state_of(path)))
    (scratch / CHECKPOINT).replace(path)


async def test_an_engine_that_dies_wherever_it_hurts_most_leaves_no_trace(spec, faulty, undisturbed, listener):
    """Before the first checkpoint, with the weights kept but not the checkpoint, and before the epoch is told."""
    module = faulty(
        {"function": PREPROCESS, "at": 4, "do": "die"},
        {"function": "trainer.engine.checkpoints:write", "at": 2, "do": "die"},
        {"function": "trainer.engine.training:tell", "at": 1, "do": "die"},
    )
    result = await listener.train(spec, module)
    weights, epochs = undisturbed
    assert sha256_file(result.weights) == weights
    assert deeds(listener.epochs) == deeds(epochs)
    assert [rule for rule, _ in listener.rules] == ["engine-died"] * 3
    assert result.recoveries == tuple(listener.recoveries)


async def test_killing_at_any_moment_leaves_no_trace(spec, undisturbed, listener):
    """The moments are drawn anew each time; a training that is over can't be killed any more."""
    on_progress = listener.on_progress

    async def kill_sometime_later(progress: Progress) -> None:
        await on_progress(progress)
        if progress.epoch < spec.recipe.epochs:
            asyncio.get_running_loop().call_later(random.random(), kill_engine, spec.out_dir)

    listener.on_progress = kill_sometime_later
    result = await listener.train(spec)
    weights, epochs = undisturbed
    assert sha256_file(result.weights) == weights
    assert deeds(listener.epochs) == deeds(epochs)
    assert set(listener.rules) <= {("engine-died", epoch) for epoch in range(spec.recipe.epochs + 1)}
    assert listener.rules


async def test_a_damaged_checkpoint_is_told_and_trained_over(spec, undisturbed, listener):
    """The one before it takes its place; where that is another training's, this one begins anew."""
    first, both = Listener(), Listener()
    on_progress = first.on_progress

    async def cancel_after_two(progress: Progress) -> None:
        await on_progress(progress)
        if progress.epoch == 2:
            first.cancelled.set()

    first.on_progress = cancel_after_two
    with pytest.raises(Exception, match="was asked to end"):
        await first.train(spec)
    elsewhere = spec.model_copy(update={"out_dir": spec.out_dir.with_name("both")})
    shutil.copytree(spec.out_dir, elsewhere.out_dir)
    for path in (spec.out_dir / CHECKPOINT, elsewhere.out_dir / CHECKPOINT):
        with path.open("r+b") as file:
            file.seek(100_000)
            file.write(b"not what was here")
    make_anothers(elsewhere.out_dir / CHECKPOINT_BEFORE, spec.out_dir.with_name("another"))

    weights, epochs = undisturbed
    for heard, where in ((listener, spec), (both, elsewhere)):
        result = await heard.train(where)
        assert CHECKPOINT in heard.recoveries[0].reason
        assert sha256_file(result.weights) == weights
        assert deeds(heard.epochs) == deeds(epochs)
    assert listener.rules == [("checkpoint-damaged", 1)]
    assert both.rules == [("checkpoint-damaged", 1), ("checkpoint-damaged", 0)]
    assert "of another recipe or dataset" in both.recoveries[1].reason


async def test_what_does_not_fit_into_memory_is_trained_in_smaller_batches(spec, faulty, listener):
    """In the first epoch by an accelerator, in the second by the CPU's own allocator."""
    module = faulty(
        {"function": PREPROCESS, "at": 3, "do": "exhaust the accelerator", "batch_over": 4},
        {"function": PREPROCESS, "at": 2 * STEPS + 2, "do": "exhaust memory", "batch_over": 2},
    )
    result = await listener.train(spec, module)
    assert [(r.rule, r.epoch, r.batch, r.learning_rate_scale) for r in listener.recoveries] == [
        ("out-of-memory", 0, 4, 0.5),
        ("out-of-memory", 1, 2, 0.25),
    ]
    assert "2.00 GiB" in listener.recoveries[0].reason
    assert [(p.epoch, p.batch) for p in listener.epochs] == [(1, 4), (2, 2), (3, 2)]
    assert result.history == tuple(listener.epochs)
    rates = [p.learning_rate / spec.recipe.lr0 for p in listener.epochs]
    assert rates[0] <= 0.5
    assert max(rates[1:]) <= 0.25


async def test_a_loss_or_a_weight_that_is_no_number_goes_back_to_the_checkpoint_with_half_the_rate(
    spec, faulty, undisturbed, listener
):
    """The loss in the second epoch; and the weights in the third, which the new process validates second."""
    module = faulty(
        {"function": PREPROCESS, "at": STEPS + 3, "do": "spoil the images"},
        {"function": "trainer.engine.training:Training.validate", "at": 2, "do": "spoil the weights"},
    )
    result = await listener.train(spec, module)
    said = [(r.rule, r.epoch, r.learning_rate_scale) for r in listener.recoveries]
    assert said == [("not-finite", 1, 0.5), ("not-finite", 2, 0.25)]
    for recovery, reason in zip(listener.recoveries, ("2: the loss is nan; box", "3: the weights are"), strict=True):
        assert recovery.reason.startswith(f"epoch {reason}")
    _, epochs = undisturbed
    assert deeds(listener.epochs)[0] == deeds(epochs)[0]
    rates = [told.learning_rate / before.learning_rate for told, before in zip(listener.epochs, epochs, strict=True)]
    assert rates == [1, pytest.approx(0.5), pytest.approx(0.25)]
    assert result.epochs == 3


async def test_a_full_disk_is_said_with_its_numbers_and_the_training_goes_on_once_there_is_room(
    spec, undisturbed, listener
):
    full = spec.out_dir / f"{CHECKPOINT}.unfinished"
    on_progress = listener.on_progress

    async def fill_the_disk(progress: Progress) -> None:
        await on_progress(progress)
        if progress.epoch == 1:
            full.symlink_to("/dev/full")

    listener.on_progress = fill_the_disk
    with pytest.raises(EngineFailedError, match=r"disk-full: No space left on device: .*; \d+ of \d+ bytes are free"):
        await listener.train(spec)
    head = checkpoints.standing(spec.out_dir)
    assert head is not None
    assert head.epoch == len(listener.epochs)
    assert not full.is_symlink()

    again = Listener()
    result = await again.train(spec)
    weights, epochs = undisturbed
    assert sha256_file(result.weights) == weights
    assert deeds(again.epochs) == deeds(epochs)
    assert (listener.recoveries, again.recoveries) == ([], [])


async def test_whoever_takes_over_goes_on_with_what_recoveries_changed(spec, faulty, listener):
    """On another machine, with nothing but the checkpoint and its best weights."""
    module = faulty({"function": PREPROCESS, "do": "exhaust the accelerator", "batch_over": 4})
    on_progress = listener.on_progress

    async def cancel(progress: Progress) -> None:
        await on_progress(progress)
        listener.cancelled.set()

    listener.on_progress = cancel
    with pytest.raises(Exception, match="was asked to end"):
        await listener.train(spec, module)
    elsewhere = spec.out_dir / "elsewhere"
    elsewhere.mkdir()
    for name in (CHECKPOINT, "best.safetensors"):
        (spec.out_dir / name).rename(elsewhere / name)

    other = Listener()
    result = await other.train(spec.model_copy(update={"out_dir": elsewhere}))
    assert [(p.epoch, p.batch) for p in other.epochs] == [(1, 4), (2, 4), (3, 4)]
    assert other.recoveries == []
    assert result.recoveries == (Recovery.model_validate(listener.recoveries[0]),)
