"""When a training is due."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from trainer.policy import due


def test_the_cut_is_the_offset_that_completed_the_number():
    assert due([3, 5, 5, 9, 12], min_new=4, readable=100) == 9


def test_too_few_new_annotations_are_no_reason():
    assert due([3, 5], min_new=3, readable=100) is None


def test_a_cut_waits_until_everything_up_to_it_was_augmented():
    assert due([3, 5, 9], min_new=3, readable=8) is None
    assert due([3, 5, 9], min_new=3, readable=9) == 9


def test_a_backlog_is_served_by_one_training_on_the_last_full_number():
    assert due(list(range(10)), min_new=3, readable=100) == 8


def test_zero_means_that_only_a_request_trains():
    assert due(list(range(1000)), min_new=0, readable=10_000) is None


@given(st.lists(st.integers(0, 1000), min_size=5, max_size=5).map(sorted), st.integers(0, 1000))
def test_with_one_full_number_the_cut_never_depends_on_what_was_read_by_then(offsets, further):
    cut = due(offsets, min_new=5, readable=10_000)
    assert due([*offsets, 2000], min_new=5, readable=cut + further) == cut
