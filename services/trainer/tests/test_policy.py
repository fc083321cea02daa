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


def test_a_backlog_is_trained_cut_by_cut_as_if_nobody_had_been_away():
    assert due(list(range(10)), min_new=3, readable=100) == 2


def test_zero_means_that_only_a_request_trains():
    assert due(list(range(1000)), min_new=0, readable=10_000) is None


@given(st.lists(st.integers(0, 1000), min_size=5).map(sorted), st.lists(st.integers(1000, 2000)).map(sorted))
def test_the_cut_never_depends_on_what_was_read_by_then(offsets, more):
    cut = due(offsets, min_new=5, readable=10_000)
    assert cut is not None
    assert due(offsets + more, min_new=5, readable=cut) == cut
