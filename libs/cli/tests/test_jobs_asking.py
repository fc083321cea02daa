"""Asking for a training, for its end, and for another go; on doubles of the broker, the store and the trainer."""

from __future__ import annotations

import json

import pytest
import typer

from labelstream.events.base import TRAINING_EVENTS
from labelstream.events.training import TrainingFailed
from labelstream.training_requests import Answer, TrainingRequest
from labelstream_cli.asking_to_train import ask_for_training
from labelstream_cli.jobs.asking import answer_to, ask
from labelstream_cli.jobs.ending import cancel
from labelstream_cli.jobs.starting import Started, start, tell
from labelstream_cli.running import CommandFailed

from .jobs_world import FIRST, SECOND, World, cancelled, epoch, finished, requested, started

FAILED = TrainingFailed(job=FIRST, attempt=1, rule="training.not-finite", reason="the loss is not a number")
CUT = TrainingRequest(cut=41)


@pytest.fixture
def world() -> World:
    return World()


# ---- the request


async def test_each_asking_has_an_answer_of_its_own(world: World) -> None:
    first = await ask_for_training(world.queue, "default", 41)
    second = await ask_for_training(world.queue, "default", 41)
    assert first != second
    async with world.trainer(Answer(outcome="known", job=FIRST)):
        answer = await answer_to(world.place, "default", first, 30)
    assert answer == Answer(outcome="known", job=FIRST)
    assert world.asked == [TrainingRequest(cut=41, answer=first)]
    assert await answer_to(world.place, "default", second, 0) is None


async def test_a_refusal_is_told_with_its_rule_and_reason(world: World) -> None:
    asking = await ask(world.queue, "default", CUT)
    refused = Answer(outcome="refused", rule="recipe.unreadable", reason="epochs: should be at least 1")
    async with world.trainer(refused):
        with pytest.raises(CommandFailed, match=r"recipe\.unreadable: epochs: should be at least 1"):
            await answer_to(world.place, "default", asking, 30)


async def test_what_an_answer_waits_for_is_told_until_it_is_there(world: World) -> None:
    said: list[str] = []
    asking = await ask(world.queue, "default", CUT)
    behind, done = Answer(outcome="waiting", reason="augmented up to 30"), Answer(outcome="requested", job=FIRST)
    async with world.trainer(behind):
        assert await answer_to(world.place, "default", asking, 1, lambda one: said.append(one.reason)) == behind
    again = await ask(world.queue, "default", CUT)
    async with world.trainer(behind, done):
        assert await answer_to(world.place, "default", again, None) == done
    assert set(said) == {"augmented up to 30"}


# ---- a training


async def begun(world: World, *answers: Answer, wait: bool, then: tuple[object, ...] = ()) -> Started:
    async with world.trainer(*answers, then=then):  # type: ignore[arg-type]  # events
        return await start(world.place, "default", CUT, wait=wait, quiet=True)


async def test_who_does_not_wait_is_told_the_job_and_where_to_look(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.say(requested(FIRST))
    tell(await begun(world, Answer(outcome="requested", job=FIRST), wait=False), "a training", as_json=False)
    said = capsys.readouterr().out
    assert "Training 3fa900003fa9 of default is requested: waits for a free worker." in said
    assert "`labelstream jobs logs -f 3fa900003fa9`" in said


async def test_what_was_trained_before_is_told_with_its_result(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.say(requested(FIRST), started(FIRST), epoch(FIRST, 1, 0.4), finished(FIRST, 0.9))
    tell(await begun(world, Answer(outcome="known", job=FIRST), wait=False), "a training", as_json=False)
    said = capsys.readouterr().out
    assert "asked for before: training 3fa900003fa9 is finished after 1 epoch, mAP50 0.900 on test" in said


async def test_what_is_under_way_already_is_told_with_its_progress(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.say(requested(FIRST), started(FIRST), epoch(FIRST, 1, 0.4, eta_s=0.0))
    tell(await begun(world, Answer(outcome="known", job=FIRST), wait=False), "a training", as_json=False)
    assert "is under way already: mAP50 0.400" in capsys.readouterr().out


async def test_a_training_that_was_awaited_is_told_when_it_has_finished(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    then = (requested(FIRST), started(FIRST), epoch(FIRST, 1, 0.4), finished(FIRST, 0.9))
    ended = await begun(world, Answer(outcome="requested", job=FIRST), wait=True, then=then)
    tell(ended, "a training", as_json=True, extra={"cut": 41})
    said = json.loads(capsys.readouterr().out)
    assert (said["outcome"], said["job"], said["cut"]) == ("requested", FIRST, 41)
    assert (said["training"]["state"], said["result"]["test"]["map50"]) == ("finished", 0.9)


@pytest.mark.parametrize("end", [FAILED, cancelled(FIRST, reason="enough")], ids=["failed", "cancelled"])
async def test_a_training_that_was_awaited_in_vain_ends_with_its_reason_and_exit_code_1(
    world: World, capsys: pytest.CaptureFixture[str], end: object
) -> None:
    then = (requested(FIRST), started(FIRST), end)
    ended = await begun(world, Answer(outcome="requested", job=FIRST), wait=True, then=then)
    with pytest.raises(typer.Exit) as left:
        tell(ended, "a training", as_json=False)
    assert left.value.exit_code == 1
    assert ("the loss is not a number" if end is FAILED else "enough") in capsys.readouterr().err


async def test_a_training_that_is_refused_at_once_ends_with_exit_code_1_also_for_who_does_not_wait(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.say(requested(FIRST), TrainingFailed(job=FIRST, attempt=0, rule="dataset.too_small", reason="5 short"))
    with pytest.raises(typer.Exit):
        tell(await begun(world, Answer(outcome="requested", job=FIRST), wait=False), "a training", as_json=False)
    assert "dataset.too_small: 5 short" in capsys.readouterr().err


async def test_a_trainer_that_does_not_answer_leaves_the_request_where_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("labelstream_cli.jobs.starting.ANSWER_S", 0)
    await world.broker.ensure_stream(TRAINING_EVENTS)
    tell(await start(world.place, "default", CUT, wait=False, quiet=True), "a training", as_json=False)
    said = capsys.readouterr().out
    assert "Asked for a training. The trainer has not answered yet: `labelstream status`" in said


async def test_a_request_that_waits_says_for_what(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("labelstream_cli.jobs.starting.ANSWER_S", 1)
    waits = Answer(outcome="waiting", reason="augmented up to 30 of 41")
    tell(await begun(world, waits, wait=False), "a training", as_json=False)
    assert "It waits: augmented up to 30 of 41." in capsys.readouterr().out


# ---- the end of one


async def test_a_cancelled_job_is_returned_with_what_was_kept(world: World) -> None:
    await world.say(requested(FIRST), started(FIRST), epoch(FIRST, 1, 0.4))
    async with world.trainer(Answer(outcome="cancelling", job=FIRST), then=(cancelled(FIRST, reason="enough"),)):
        state = await cancel(world.place, "3fa9", "enough", 60)
    assert state.state == "cancelled"
    (asked,) = world.asked
    assert (asked.cancel, asked.reason) == (FIRST, "enough")


async def test_a_job_that_ended_before_is_not_cancelled(world: World) -> None:
    await world.say(requested(FIRST), started(FIRST), finished(FIRST), requested(SECOND))
    with pytest.raises(CommandFailed, match="nothing to cancel: training 3fa900003fa9 is finished"):
        await cancel(world.place, "3fa9", "", 60)
    assert not world.asked


async def test_a_trainer_or_a_worker_that_is_silent_is_not_awaited_for_ever(world: World) -> None:
    await world.say(requested(FIRST), started(FIRST))
    with pytest.raises(CommandFailed, match=r"the trainer did not answer within 0.1 s: .* The request is stored"):
        await cancel(world.place, "3fa9", "", 0.1)
    await world.queue.take("requests.trainer")
    async with world.trainer(Answer(outcome="cancelling", job=FIRST)):
        with pytest.raises(CommandFailed, match="agreed, but ada did not end within 2 s"):
            await cancel(world.place, "3fa9", "", 2)
