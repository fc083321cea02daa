"""When a training is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelstream.errors import Misconfigured
from trainer.deciding.policy import Policy, Schedule, due, due_at_last
from trainer.settings import TrainerGroup

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)


def test_the_cut_is_the_offset_that_completed_the_number():
    assert due([3, 5, 5, 9, 12], min_new=4, readable=100) == 9


def test_too_few_new_annotations_are_no_reason():
    assert due([3, 5], min_new=3, readable=100) is None
    assert due_at_last([3, 5], min_new=3, readable=100) is None


def test_a_cut_waits_until_everything_up_to_it_was_augmented():
    assert due([3, 5, 9], min_new=3, readable=8) is None
    assert due([3, 5, 9], min_new=3, readable=9) == 9


def test_a_backlog_is_trained_cut_by_cut_as_if_nobody_had_been_away():
    assert due(list(range(10)), min_new=3, readable=100) == 2


def test_a_policy_that_had_to_wait_takes_all_that_can_be_read_at_once():
    assert due_at_last([3, 5, 9, 12], min_new=3, readable=100) == 12
    assert due_at_last([3, 5, 9, 12], min_new=3, readable=10) == 9
    assert due_at_last([3, 5, 9, 12], min_new=3, readable=8) is None


def test_zero_means_that_only_a_request_or_a_schedule_trains():
    assert due(list(range(1000)), min_new=0, readable=10_000) is None
    assert due_at_last(list(range(1000)), min_new=0, readable=10_000) is None


@given(st.lists(st.integers(0, 1000), min_size=5).map(sorted), st.lists(st.integers(1000, 2000)).map(sorted))
def test_the_cut_never_depends_on_what_was_read_by_then(offsets, more):
    cut = due(offsets, min_new=5, readable=10_000)
    assert cut is not None
    assert due(offsets + more, min_new=5, readable=cut) == cut


def test_an_interval_counts_from_the_last_start_and_only_where_a_number_starts_trainings():
    policy = Policy(min_new=3, min_interval=timedelta(hours=1))
    assert policy.not_before(NOON) == NOON + timedelta(hours=1)
    assert policy.not_before(None) is None
    assert Policy(min_new=0, min_interval=timedelta(hours=1)).not_before(NOON) is None
    assert Policy(min_new=3).not_before(NOON) is None


def test_a_policy_that_waits_asks_for_nothing():
    policy = Policy(min_new=3, min_interval=timedelta(hours=1))
    assert policy.cut([1, 2, 3, 4], readable=9, waits=True) is None
    assert policy.cut([1, 2, 3, 4], readable=9, waits=False) == 4
    assert Policy(min_new=3).cut([1, 2, 3, 4], readable=9, waits=False) == 3


def test_a_schedule_names_its_last_and_its_next_time():
    nightly = Schedule("0 3 * * *")
    assert nightly.next(NOON) == datetime(2030, 5, 2, 3, tzinfo=UTC)
    assert nightly.last(NOON) == datetime(2030, 5, 1, 3, tzinfo=UTC)
    three = datetime(2030, 5, 1, 3, tzinfo=UTC)
    assert nightly.last(three) == three
    assert nightly.next(three) == datetime(2030, 5, 2, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "problem"),
    [
        ("every night", "LABELSTREAM_TRAINER__SCHEDULE = 'every night' can't be understood"),
        ("61 * * * *", "Bad minute"),
        ("0 0 30 2 *", "Bad day-of-month"),
        ("0 0 */20 * 1L", "names a time that never comes"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused_with_its_value(cron, problem):
    with pytest.raises(Misconfigured) as refused:
        Policy.of(TrainerGroup(schedule=cron))
    assert problem in str(refused.value)
    assert repr(cron) in str(refused.value)


def test_the_settings_say_what_starts_a_training():
    assert Policy.of(TrainerGroup(min_new=7, min_interval_s=60)) == Policy(7, timedelta(minutes=1), None)
    assert Policy.of(TrainerGroup(min_new=0)).counts is False
    assert Policy.of(TrainerGroup(min_new=0, schedule="0 3 * * *")).counts is True
