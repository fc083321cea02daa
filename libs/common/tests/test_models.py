"""The fold over `model-events`: which models there are, which serves, and what became of each format."""

from __future__ import annotations

from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelEvent, ModelExported, ModelPromoted, ModelRefused, ModelWithdrawn
from labelstream.events.training import Metrics
from labelstream.models import ModelBook
from labelstream.values import FileRef, Position

FILE = FileRef.of("k", b"k")
HERE = Position(stream="training-events", offset=0)
METRICS = Metrics(map50=0.9, map50_95=0.5, precision=0.9, recall=0.9, images=10)


def exported(model: str, job: str = "job", edition: int = 1) -> ModelExported:
    return ModelExported(
        model=model, input=HERE, job=job, dataset_id="d", manifest=FILE, signature=FILE, artifacts=(), test=METRICS,
        edition=edition,
    )  # fmt: skip


def refused(format_name: str | None, job: str = "job") -> ModelRefused:
    return ModelRefused(model="m", input=HERE, job=job, rule="r", reason="x", format=format_name)


def promoted(model: str, number: int) -> ModelPromoted:
    return ModelPromoted(
        model=model, number=number, manifest=FILE, signature=FILE, statement="", statement_signature="", reason="",
    )  # fmt: skip


def told(*events: ModelEvent, project: str = "cars", book: ModelBook | None = None) -> ModelBook:
    book = book or ModelBook()
    for offset, event in enumerate(events):
        book.fold(offset, Envelope.of(event, source="exporter", answers=str(offset), project=project))
    return book


def test_a_project_has_its_own_models_oldest_first():
    book = told(exported("a"), exported("b"))
    told(exported("c"), project="boats", book=book)
    assert [state.model for state in book.of("cars")] == ["a", "b"]
    assert [state.model for state in book.of("boats")] == ["c"]
    assert [(state.offset, state.project) for state in book.of("boats")] == [(0, "boats")]


def test_the_champion_is_the_model_that_was_promoted_last_in_its_project():
    book = told(exported("a"), promoted("a", 1), exported("b"), promoted("b", 2), promoted("a", 3))
    assert book.champion("cars") is book.models["a"]
    assert (book.champion("boats"), book.promotion("boats")) == (None, None)
    assert [each.event.number for each in book.models["a"].promotions] == [1, 3]
    assert book.promotion("cars").event.number == 3
    assert [(each.offset, each.event.model) for each in book.promotions["cars"]] == [(1, "a"), (3, "b"), (4, "a")]


def test_a_withdrawn_model_serves_until_another_is_promoted():
    book = told(exported("a"), promoted("a", 1), ModelWithdrawn(model="a", reason="ghosts", by="eve"))
    assert book.champion("cars").withdrawn.reason == "ghosts"


def test_the_editions_of_a_training_stand_in_their_order():
    book = told(exported("b", edition=2), exported("a"), exported("other", job="another"))
    assert [state.model for state in book.editions("job")] == ["a", "b"]
    assert book.editions("nothing") == []


def test_a_refused_format_is_not_the_end_of_its_training():
    book = told(refused("onnx-int8"), refused("onnx-fp32", job="another"))
    assert book.refused_formats("job") == {"onnx-int8"}
    assert not book.has_no_model("job")
    told(refused(None), book=book)
    assert book.has_no_model("job")
    assert not book.has_no_model("another")
    assert [each.event.format for each in book.refusals["job"]] == ["onnx-int8", None]


def test_a_refusal_of_the_days_of_one_format_is_the_end_of_its_training():
    old = ModelRefused.model_validate({"model": "m", "input": HERE, "job": "job", "rule": "r", "reason": "x"})
    assert told(old).has_no_model("job")


def test_what_is_said_of_a_model_that_nobody_exported_breaks_nothing():
    book = told(promoted("ghost", 7), ModelWithdrawn(model="ghost", reason="r"))
    assert book.champion("cars") is None
    assert book.promotion("cars").event.number == 7
