"""Who served before, and on which images two models are compared."""

from __future__ import annotations

import pytest

from labelstream.champions import champion_at, compared, served_before
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelEvent, ModelExported, ModelPromoted, ModelWithdrawn
from labelstream.events.training import ChampionMetrics, DatasetRef, Interval, Metrics, TrainingFinished
from labelstream.models import ModelBook
from labelstream.values import FileRef, Position

FILE = FileRef.of("k", b"k")
HERE = Position(stream="training-events", offset=0)


def metrics(map50_95: float, **per_class: float) -> Metrics:
    return Metrics(map50=0.9, map50_95=map50_95, precision=0.9, recall=0.9, images=40, per_class=per_class)


def exported(model: str, job: str = "", dataset: str = "", test: Metrics | None = None) -> ModelExported:
    return ModelExported(
        model=model, input=HERE, job=job or f"job of {model}", dataset_id=dataset or f"dataset of {model}",
        manifest=FILE, signature=FILE, artifacts=(), test=test or metrics(0.5),
    )  # fmt: skip


def promoted(model: str, cause: str = "policy") -> ModelPromoted:
    return ModelPromoted(
        model=model, number=1, manifest=FILE, signature=FILE, statement="", statement_signature="", reason="",
        cause=cause,
    )  # fmt: skip


def trained(champion: ChampionMetrics | None) -> TrainingFinished:
    dataset = DatasetRef(id="d", description=FILE, cut=HERE, samples={}, test_images=9)
    return TrainingFinished(
        job="j", attempt=1, dataset=dataset, weights=FILE, architecture=FILE, best_epoch=1, validation=metrics(0.5),
        test=metrics(0.5), champion=champion,
    )  # fmt: skip


def book_of(*said: ModelEvent) -> ModelBook:
    book = ModelBook()
    for offset, event in enumerate(said):
        book.fold(offset, Envelope.of(event, source="exporter", answers=f"{offset}", project="default"))
    return book


def history(*steps: str) -> ModelBook:
    """Models that were promoted one after the other; `<a` is a rollback to a, `-a` withdraws it."""
    models = dict.fromkeys(step.strip("<-") for step in steps)
    said: list[ModelEvent] = [exported(model) for model in models]
    for step in steps:
        model = step.strip("<-")
        is_back = step.startswith("<")
        event = promoted(model, "rollback" if is_back else "policy")
        said.append(ModelWithdrawn(model=model, reason="") if step.startswith("-") else event)
    return book_of(*said)


@pytest.mark.parametrize(
    ("steps", "before"),
    [
        ("", None),
        ("a", None),
        ("a b", "a"),
        ("a b <a", None),
        ("a b c <b", "a"),
        ("a b c <b d", "b"),
        ("a b c <a", None),
        ("a b <a <b", "a"),
        ("a b c -b", "a"),
        ("a b -a", None),
    ],
)
def test_the_model_to_go_back_to_is_the_last_that_stood_the_test_of_service(steps: str, before: str | None) -> None:
    state = served_before(history(*steps.split()), "default")
    assert (state.model if state else None) == before


def test_another_edition_of_the_same_weights_is_not_the_model_before() -> None:
    book = book_of(
        exported("a"), promoted("a"), exported("b", job="t"), promoted("b"), exported("b2", job="t"),
        promoted("b2", "edition"),
    )  # fmt: skip
    state = served_before(book, "default")
    assert state is not None
    assert state.model == "a"


def test_the_champion_of_a_moment_is_the_one_that_was_promoted_before_it() -> None:
    book = book_of(exported("a"), promoted("a"), exported("b"), exported("c"), promoted("c"))
    found = [champion_at(book, "default", offset) for offset in (0, 2, 3, 9)]
    assert [state.model if state else None for state in found] == [None, "a", "a", "c"]


def test_what_the_training_measured_is_compared_when_it_measured_the_champions_weights() -> None:
    book = book_of(exported("a", job="t"), exported("a2", job="t"), exported("b"))
    interval = Interval(low=-0.1, high=0.2)
    beside = ChampionMetrics(model="a", test=metrics(0.4), difference=0.1, difference_interval=interval)
    found = compared(book, book.models["b"], book.models["a2"], trained(beside))
    assert (found.how, found.old.map50_95, found.difference_interval) == ("measured", 0.4, interval)
    assert found.gain == pytest.approx(0.1)


@pytest.mark.parametrize("champion", [None, "other", "unknown"])
def test_else_published_figures_are_compared_and_it_is_said_why(champion: str | None) -> None:
    book = book_of(exported("a"), exported("other"), exported("b"))
    beside = ChampionMetrics(model=champion, test=metrics(0.1), difference=0.1) if champion else None
    found = compared(book, book.models["b"], book.models["a"], trained(beside))
    assert (found.how, found.same_images, found.old.map50_95) == ("published", False, 0.5)
    assert ("another one served" if champion else "none was measured") in found.in_words()


def test_models_of_one_dataset_were_tested_on_the_same_images() -> None:
    book = book_of(exported("a", dataset="d"), exported("b", dataset="d"))
    found = compared(book, book.models["b"], book.models["a"], None)
    assert (found.how, found.same_images) == ("one dataset", True)
    assert "on the same 40 test images" in found.in_words()


def test_changes_of_classes_begin_with_the_deepest_fall_and_count_what_is_no_more_tested() -> None:
    old, new = metrics(0.5, car=0.6, truck=0.5, bus=0.3), metrics(0.6, car=0.5, truck=0.7, van=0.9)
    book = book_of(exported("a", dataset="d", test=old), exported("b", dataset="d", test=new))
    found = compared(book, book.models["b"], book.models["a"], None)
    assert found.unmeasured == {"bus": 0.3}
    assert {name: round(change, 3) for name, change in found.changes.items()} == {
        "bus": -0.3, "car": -0.1, "truck": 0.2,
    }  # fmt: skip
    assert next(iter(found.changes)) == "bus"
