"""The book of jobs, folded from training-events."""

from __future__ import annotations

from labelstream.events.envelope import Envelope
from labelstream.events.training import (
    DatasetRef,
    TrainingFailed,
    TrainingProgressed,
    TrainingRequested,
    TrainingStarted,
)
from labelstream.values import FileRef, Position
from trainer.domain import JobBook, job_id


def dataset(cut: int = 10, test_images: int = 8, **samples: int) -> DatasetRef:
    return DatasetRef(
        id="d" * 64,
        description=FileRef.of("k", b"k"),
        cut=Position(stream="annotation-events", offset=cut),
        samples=samples or {"train": 80, "val": 9, "test": 8},
        test_images=test_images,
    )


def requested(job: str, cut: int = 10) -> TrainingRequested:
    return TrainingRequested(job=job, cause="policy", dataset=dataset(cut), recipe={}, recipe_digest="0" * 64)


def book_of(*events) -> JobBook:
    book = JobBook()
    for offset, event in enumerate(events):
        book.fold(offset, Envelope.of(event, source="trainer", answers=str(offset), project="default"))
    return book


def progressed(attempt: int, epoch: int) -> TrainingProgressed:
    return TrainingProgressed(
        job="j", attempt=attempt, epoch=epoch, epochs=9, losses={}, map50=0, map50_95=0, seconds=1, eta_s=1
    )


def test_the_same_dataset_and_recipe_are_the_same_job():
    assert job_id("p", "d", "r") == job_id("p", "d", "r")
    assert len({job_id("p", "d", "r"), job_id("q", "d", "r"), job_id("p", "e", "r"), job_id("p", "d", "s")}) == 4


def test_a_job_is_open_until_it_ended():
    assert [s.requested.job for s in book_of(requested("j"), requested("k")).open_jobs()] == ["j", "k"]
    failed = TrainingFailed(job="j", attempt=1, rule="r", reason="x")
    assert [s.requested.job for s in book_of(requested("j"), requested("k"), failed).open_jobs()] == ["k"]


def test_each_attempt_counts_its_epochs_from_where_it_goes_on():
    started = TrainingStarted(job="j", attempt=1, worker="w")
    book = book_of(requested("j"), started, progressed(1, 1), progressed(1, 2))
    assert (book.jobs["j"].attempt, book.jobs["j"].epochs_said) == (1, 2)
    again = book_of(requested("j"), started, progressed(1, 2), TrainingStarted(job="j", attempt=2, worker="v"))
    assert (again.jobs["j"].attempt, again.jobs["j"].epochs_said) == (2, 0)


def test_the_last_cut_is_the_highest_that_was_requested():
    assert book_of(requested("j", 50), requested("k", 20)).last_cuts == {"default": 50}
