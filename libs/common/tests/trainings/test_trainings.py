"""The book of jobs, folded from training-events."""

from __future__ import annotations

from typing import Any

from labelstream.events.envelope import Envelope
from labelstream.events.training import (
    DatasetRef,
    TrainingCancelled,
    TrainingEvent,
    TrainingFailed,
    TrainingProgressed,
    TrainingRecovered,
    TrainingRequested,
    TrainingStarted,
)
from labelstream.trainings import JobBook, JobState, job_id, retry_id
from labelstream.values import FileRef, Position


def requested(job: str, cut: int = 10) -> TrainingRequested:
    dataset = DatasetRef(
        id="d" * 64,
        description=FileRef.of("k", b"k"),
        cut=Position(stream="annotation-events", offset=cut),
        samples={"train": 80},
        test_images=8,
    )
    return TrainingRequested(job=job, cause="policy", dataset=dataset, recipe={}, recipe_digest="0" * 64)


def started(attempt: int, worker: str = "w") -> TrainingStarted:
    return TrainingStarted(job="j", attempt=attempt, worker=worker)


def progressed(attempt: int, epoch: int) -> TrainingProgressed:
    return TrainingProgressed(
        job="j", attempt=attempt, epoch=epoch, epochs=9, losses={}, map50=epoch / 10, map50_95=0, seconds=1, eta_s=1
    )


def failed(job: str = "j") -> TrainingFailed:
    return TrainingFailed(job=job, attempt=1, rule="r", reason="x")


def book_of(*events: TrainingEvent, **options: Any) -> JobBook:
    """Fold events that are written a second apart."""
    book = JobBook(**options)
    for offset, event in enumerate(events):
        envelope = Envelope(event, id=str(offset), source="trainer", time_ms=1000 * offset)
        book.fold(offset, envelope)
    return book


def state_of(*events: TrainingEvent) -> JobState:
    return book_of(*events).jobs["j"]


def test_the_same_dataset_recipe_and_weights_are_the_same_job() -> None:
    assert job_id("p", "d", "r") == job_id("p", "d", "r", None)
    others = {job_id("p", "d", "r"), job_id("q", "d", "r"), job_id("p", "e", "r"), job_id("p", "d", "s")}
    assert len(others | {job_id("p", "d", "r", "weights")}) == 5


def test_a_job_is_open_until_it_ended() -> None:
    assert [state.job for state in book_of(requested("j"), requested("k")).open_jobs()] == ["j", "k"]
    assert [state.job for state in book_of(requested("j"), requested("k"), failed()).open_jobs()] == ["k"]


def test_a_job_says_who_began_it_when_and_how_it_ended() -> None:
    cancelled = TrainingCancelled(job="j", attempt=2, reason="enough")
    state = state_of(requested("j"), started(1, "one"), started(2, "two"), cancelled)
    assert [tuple(begun) for begun in state.attempts] == [(1, "one", 1000), (2, "two", 2000)]
    assert (state.state, state.attempt, state.worker) == ("cancelled", 2, "two")
    assert (state.requested_ms, state.changed_ms, state.ended_ms, state.ended_offset) == (0, 3000, 3000, 3)
    assert state.ended == cancelled
    waiting = state_of(requested("j"))
    assert (waiting.state, waiting.attempt, waiting.worker, waiting.progress) == ("requested", 0, "", None)


def test_an_epoch_counts_once_over_all_attempts() -> None:
    first = (requested("j"), started(1), progressed(1, 1), progressed(1, 2))
    state = state_of(*first, started(2), progressed(2, 1), progressed(2, 2), progressed(2, 3))
    assert [(event.attempt, event.epoch, time_ms) for event, time_ms in state.epochs] == [
        (1, 1, 2000), (1, 2, 3000), (2, 3, 7000),
    ]  # fmt: skip
    assert state.epochs_told == 3


def test_recoveries_are_counted_for_each_attempt() -> None:
    def recovered(attempt: int, rule: str) -> TrainingRecovered:
        return TrainingRecovered(job="j", attempt=attempt, epoch=3, rule=rule, reason="x")

    told = (recovered(1, "out-of-memory"), recovered(1, "not-finite"), recovered(2, "engine-died"))
    state = state_of(requested("j"), started(1), *told)
    assert [event.rule for event, _ in state.recoveries] == ["out-of-memory", "not-finite", "engine-died"]
    assert [state.recoveries_told(attempt) for attempt in (1, 2, 3)] == [2, 1, 0]


def test_who_only_decides_keeps_the_last_epoch_of_jobs_that_ended() -> None:
    events = (requested("j"), started(1), progressed(1, 1), progressed(1, 2), failed())
    assert len(book_of(*events).jobs["j"].epochs) == 2
    brief = book_of(*events, keep_epochs=False).jobs["j"]
    assert [event.epoch for event, _ in brief.epochs] == [2]
    assert len(book_of(*events[:-1], keep_epochs=False).jobs["j"].epochs) == 2


def test_the_last_cut_is_the_highest_that_was_requested() -> None:
    assert book_of(requested("j", 50), requested("k", 20)).last_cuts == {"default": 50}


def test_the_latest_of_a_job_is_the_last_of_its_retries() -> None:
    again = retry_id("j")
    book = book_of(requested("j"), failed(), requested(again), failed(again), requested(retry_id(again)))
    latest = book.latest("j")
    assert latest is not None
    assert latest.job == retry_id(again)
    assert book.latest("nobody") is None
    assert [state.came_to_nothing for state in book.jobs.values()] == [True, True, False]


def test_an_event_of_a_job_that_was_never_requested_is_passed_over() -> None:
    assert book_of(started(1), progressed(1, 1)).jobs == {}
