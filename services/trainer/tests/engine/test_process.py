"""How a training is run again after failures; the engine is scripted and trains nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trainer.engine import process
from trainer.engine.contract import RECOVERIES, TrainingSpec
from trainer.engine.process import EngineFailedError
from trainer.recipe import TrainingRecipe

DIES, NAN, TOO_LARGE = {"die": True}, {"fail": ["not-finite", "epoch 1: nan"]}, {"fail": ["out-of-memory", "2 GiB"]}
DONE = {"done": [1, 2, 3]}


@pytest.fixture
def scripted(tmp_path, monkeypatch, listener):
    """Returns what trains by a script, and gives back the adjustments that each start was given."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "faults"))

    async def train(*script: dict[str, Any], **changes: Any) -> list[list[Any]]:
        (tmp_path / "script.json").write_text(json.dumps(script))
        spec = TrainingSpec(data=tmp_path, recipe=TrainingRecipe(batch=4), out_dir=tmp_path).model_copy(update=changes)
        await listener.train(spec, "scripted_engine")
        return starts(tmp_path)

    return train


def starts(folder: Path) -> list[list[Any]]:
    return [json.loads(line) for line in (folder / "starts.ndjson").read_text().splitlines()]


async def test_each_epoch_is_told_once_though_engines_tell_it_again(scripted, listener):
    await scripted({"epochs": [1], **DIES}, {"epochs": [1, 2], **DIES}, {"epochs": [1, 2, 3], **DIES}, DONE)
    assert listener.numbers == [1, 2, 3]


async def test_an_epoch_that_an_engine_did_not_live_to_tell_is_told(scripted, listener):
    await scripted({"epochs": [1], **DIES}, DONE)
    assert listener.numbers == [1, 2, 3]


async def test_dying_three_times_without_an_epoch_is_borne_and_a_fourth_time_is_not(scripted, listener, tmp_path):
    await scripted(DIES, DIES, {"epochs": [1], **DIES}, DIES, DIES, DONE)
    assert listener.rules == [("engine-died", 0)] * 5
    with pytest.raises(EngineFailedError, match=r"engine-died: .*SIGKILL; it died 4 times without an epoch"):
        await scripted(DIES)
    assert len(listener.recoveries) == 5 + 3
    assert len((tmp_path / RECOVERIES).read_text().splitlines()) == 5 + 3


async def test_a_loss_that_never_is_a_number_fails_after_three_lower_rates(scripted, listener, tmp_path):
    with pytest.raises(EngineFailedError, match=r"not-finite: epoch 1: nan; .* 3 times, each time with half the rate"):
        await scripted(NAN)
    assert [adjustments["learning_rate_scale"] for _, adjustments in starts(tmp_path)] == [1, 0.5, 0.25, 0.125]


async def test_what_does_not_fit_one_by_one_fails_with_the_reason(scripted, listener, tmp_path):
    with pytest.raises(EngineFailedError, match=r"out-of-memory: 2 GiB; the batch is 1 and can't be halved"):
        await scripted(TOO_LARGE)
    assert [adjustments["batch"] for _, adjustments in starts(tmp_path)] == [None, 2, 1]
    assert [recovery.batch for recovery in listener.recoveries] == [2, 1]


async def test_a_batch_that_the_engine_measured_is_the_one_that_is_halved(scripted):
    measured = {"batch": 48, **TOO_LARGE}
    tried = await scripted(measured, TOO_LARGE, DONE, recipe=TrainingRecipe(batch="auto"))
    assert [adjustments["batch"] for _, adjustments in tried] == [None, 24, 12]


async def test_a_death_that_the_kernel_counts_as_want_of_memory_halves_the_batch(scripted, listener, monkeypatch):
    counted = iter([7, 8, 8, 8, 8])  # at each start, and after each death
    monkeypatch.setattr(process, "memory_kills", lambda: next(counted))
    tried = await scripted(DIES, DIES, DONE)
    assert [adjustments["batch"] for _, adjustments in tried] == [None, 2, 2]
    assert [recovery.rule for recovery in listener.recoveries] == ["out-of-memory", "engine-died"]
    assert "want of memory" in listener.recoveries[0].reason


async def test_who_asked_to_begin_anew_still_goes_on_after_a_failure(scripted):
    tried = await scripted(DIES, DONE, resume=False)
    assert [resume for resume, _ in tried] == [False, True]


async def test_what_another_try_can_not_help_ends_the_training_at_once(scripted, listener, tmp_path):
    with pytest.raises(EngineFailedError, match="dataset-empty: no images"):
        await scripted({"fail": ["dataset-empty", "no images"]})
    assert (len(starts(tmp_path)), listener.recoveries) == (1, [])
