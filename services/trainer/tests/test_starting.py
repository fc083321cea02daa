"""When a training starts by itself, and what is said of the next one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from labelstream import keys
from labelstream.events.annotation import Outcome
from labelstream.events.training import TrainingRequested
from trainer.recipe import TrainingRecipe
from trainer.settings import TrainerGroup

from .deeds import TOO_FEW, train

HOUR = timedelta(hours=1)
NIGHTLY = "0 3 * * *"


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2030, 5, day, hour, minute, tzinfo=UTC)


def causes(trainer) -> list[tuple[str, int]]:
    """The cause and the cut of each training that was requested."""
    requested = [event for event in trainer.events() if isinstance(event, TrainingRequested)]
    return [(event.cause, event.dataset.cut.offset) for event in requested]


def upcoming(trainer, project: str = "default"):
    return trainer.health.report()["next_training"][project]


# ---- so many new annotations


async def test_the_policy_requests_when_enough_was_validated(trainer):
    trainer.settings = TrainerGroup(min_new=10)
    trainer.annotate()
    await (await trainer.started()).tick()
    assert causes(trainer) == [("policy", 9)]


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


async def test_each_project_says_what_its_next_training_waits_for(trainer):
    trainer.settings = TrainerGroup(min_new=100)
    trainer.projects = ("default", "other")
    trainer.annotate()
    trainer.annotate(TOO_FEW, project="other")
    await trainer.ask(1000, "other")
    await (await trainer.started()).tick()
    waits = {"needed": 100, "not_before": None, "next_scheduled": None}
    assert upcoming(trainer) == {"validated_since_last": 10, "asked_for": [], **waits}
    assert upcoming(trainer, "other") == {"validated_since_last": 4, "asked_for": [1000], **waits}


async def test_where_only_requests_train_nobody_counts(trainer):
    trainer.annotate()
    await (await trainer.started()).tick()
    assert (upcoming(trainer)["validated_since_last"], upcoming(trainer)["needed"]) == (None, None)


async def test_the_policy_waits_for_weights_that_its_recipe_names_and_says_so(trainer):
    trainer.settings = TrainerGroup(min_new=10)
    trainer.recipe = TrainingRecipe(weights="street")
    trainer.annotate()
    decider = await trainer.started()
    await decider.tick()
    (reason,) = trainer.health.report()["degraded"].values()
    assert "has none of that name" in reason
    await trainer.import_weights("street", b"weights")
    await decider.tick()
    assert causes(trainer) == [("policy", 9)]
    assert trainer.health.report()["degraded"] == {}


# ---- at most every so often


async def test_the_policy_waits_for_its_time_and_then_takes_all_that_came(trainer):
    trainer.settings = TrainerGroup(min_new=10, min_interval_s=3600)
    trainer.annotate()
    decider = await trainer.started()
    await decider.tick()
    assert causes(trainer) == [("policy", 9)]
    start = decider.book.open_jobs()[0].requested_ms / 1000
    trainer.annotate()
    trainer.annotate(TOO_FEW)
    trainer.now = datetime.fromtimestamp(start, UTC) + HOUR - timedelta(seconds=1)
    decider = await trainer.started()  # it is not forgotten
    await decider.tick()
    not_before = datetime.fromtimestamp(start, UTC) + HOUR
    assert upcoming(trainer)["not_before"] == not_before.isoformat(timespec="seconds").replace("+00:00", "Z")
    assert upcoming(trainer)["validated_since_last"] == 14
    trainer.now += timedelta(seconds=2)
    await decider.tick()
    assert causes(trainer) == [("policy", 9), ("policy", 23)]


async def test_a_request_by_hand_does_not_hold_the_policy_up(trainer):
    trainer.settings = TrainerGroup(min_new=10, min_interval_s=3600)
    await trainer.ask(trainer.annotate(TOO_FEW))
    decider = await trainer.started()
    await decider.tick()
    trainer.annotate()
    await decider.tick()
    assert causes(trainer) == [("request", 3), ("policy", 13)]


# ---- at set times


async def scheduled(trainer, now: datetime, **settings):
    """Start a decider whose schedule begins now."""
    trainer.settings = TrainerGroup(min_new=0, schedule=NIGHTLY, **settings)
    trainer.now = now
    decider = await trainer.started()
    await decider.tick()
    return decider


async def test_the_schedule_trains_on_what_is_validated_by_then_and_not_before(trainer):
    decider = await scheduled(trainer, at(1, 12))
    trainer.annotate()
    await decider.tick()
    assert causes(trainer) == []
    assert upcoming(trainer)["next_scheduled"] == "2030-05-02T03:00:00Z"
    assert upcoming(trainer)["validated_since_last"] == 10
    trainer.now = at(2, 3)
    await decider.tick()
    await decider.tick()
    assert causes(trainer) == [("schedule", 9)]
    assert upcoming(trainer)["next_scheduled"] == "2030-05-03T03:00:00Z"


async def test_a_time_at_which_nothing_is_new_passes_and_what_comes_later_waits_for_the_next(trainer):
    decider = await scheduled(trainer, at(1, 12))
    trainer.now = at(2, 3)
    await decider.tick()
    trainer.annotate()
    trainer.now = at(2, 9)
    await decider.tick()
    await (await trainer.started()).tick()  # nor does a restart make up for it
    assert causes(trainer) == []
    trainer.now = at(3, 3)
    await decider.tick()
    assert causes(trainer) == [("schedule", 9)]


async def test_times_that_were_missed_are_caught_up_once(trainer):
    await scheduled(trainer, at(1, 12))
    trainer.annotate()
    trainer.now = at(5, 9)  # four nights later
    decider = await trainer.started()
    await decider.tick()
    trainer.annotate()
    await decider.tick()
    assert causes(trainer) == [("schedule", 9)]


async def test_a_schedule_that_is_new_begins_now(trainer):
    await scheduled(trainer, at(1, 12))
    trainer.annotate()
    trainer.settings = TrainerGroup(min_new=0, schedule="0 4 * * *")
    trainer.now = at(5, 9)
    await (await trainer.started()).tick()
    assert causes(trainer) == []


async def test_a_note_of_the_schedule_that_can_t_be_understood_counts_as_none(trainer):
    await trainer.blobs.put(keys.schedule("default"), b"damaged")
    await scheduled(trainer, at(1, 12))
    trainer.annotate()
    trainer.now = at(2, 4)
    await (await trainer.started()).tick()
    assert causes(trainer) == [("schedule", 9)]


async def test_a_scheduled_training_waits_until_what_it_takes_was_augmented(trainer, annotations):
    decider = await scheduled(trainer, at(1, 12))
    trainer.annotate()
    trainer.view.apply(10, annotations.settled(10, annotations.recorded("late", "train")))
    trainer.view.commit()
    trainer.now = at(2, 3)
    await decider.tick()
    assert causes(trainer) == []
    trainer.view.apply(11, annotations.settled(11, annotations.recorded("too late", "train")))
    trainer.view.commit()
    trainer.index.fold(1, annotations.augmented(0, 11))
    await decider.tick()
    assert causes(trainer) == [("schedule", 10)]


async def test_a_schedule_is_not_kept_before_the_view_has_read_what_there_is(trainer):
    decider = await scheduled(trainer, at(1, 12))
    decider.deciding.caught_up = False
    trainer.now = at(2, 3)
    await decider.tick()  # nothing was read, which does not mean that nothing is there
    trainer.annotate()
    decider.deciding.caught_up = True
    await decider.tick()
    assert causes(trainer) == [("schedule", 9)]


async def test_a_crash_between_the_training_and_the_note_of_it_trains_once(trainer):
    await scheduled(trainer, at(1, 12))
    note = (await trainer.blobs.get(keys.schedule("default"))).data
    trainer.annotate()
    trainer.now = at(2, 3)
    await (await trainer.started()).tick()
    await trainer.blobs.put(keys.schedule("default"), note)
    await (await trainer.started()).tick()
    assert causes(trainer) == [("schedule", 9)]


@pytest.mark.parametrize("min_new", [3, 0])
async def test_a_schedule_and_a_number_work_side_by_side(trainer, min_new):
    trainer.settings = TrainerGroup(min_new=min_new, schedule=NIGHTLY)
    trainer.now = at(1, 12)
    decider = await trainer.started()
    trainer.annotate()
    for _ in range(4):
        await decider.tick()
    trainer.now = at(2, 3)
    await decider.tick()
    await trainer.until_ended(train)
    by_number = [("policy", 2), ("policy", 5), ("policy", 8)] if min_new else []
    assert causes(trainer) == [*by_number, ("schedule", 9)]
