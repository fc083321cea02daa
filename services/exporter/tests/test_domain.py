"""What the exporter concludes from what it heard and said."""

from __future__ import annotations

import pytest

from exporter.domain import Ledger, disagreement, why_promote
from labelstream.events.envelope import Envelope
from labelstream.events.model import Agreement, ModelExported, ModelPromoted, ModelRefused, ModelWithdrawn
from labelstream.events.training import DatasetRef, Metrics, TrainingFinished
from labelstream.values import FileRef, Position

FILE = FileRef.of("k", b"k")
HERE = Position(stream="training-events", offset=0)


def metrics(map50_95: float) -> Metrics:
    return Metrics(map50=0.9, map50_95=map50_95, precision=0.9, recall=0.9, images=10)


def finished(job: str) -> TrainingFinished:
    dataset = DatasetRef(id="d", description=FILE, cut=HERE, samples={}, test_images=9)
    return TrainingFinished(
        job=job, attempt=1, dataset=dataset, weights=FILE, architecture=FILE, best_epoch=1,
        validation=metrics(0.5), test=metrics(0.5),
    )  # fmt: skip


def exported(model: str, map50_95: float = 0.5) -> ModelExported:
    return ModelExported(
        model=model, input=HERE, job=f"job-of-{model}", dataset_id="d", manifest=FILE, signature=FILE, artifacts=(),
        test=metrics(map50_95),
    )  # fmt: skip


def promoted(model: str, number: int) -> ModelPromoted:
    return ModelPromoted(
        model=model, number=number, manifest=FILE, signature=FILE, statement="", statement_signature="", reason="",
    )  # fmt: skip


def ledger_of(*said, heard=()) -> Ledger:
    ledger = Ledger()
    for offset, event in enumerate(heard):
        ledger.heard(offset, Envelope.of(event, source="trainer", answers=str(offset), project="default"))
    for offset, event in enumerate(said):
        ledger.said(offset, Envelope.of(event, source="exporter", answers=str(offset), project="default"))
    return ledger


def test_a_training_is_unanswered_until_it_has_a_model_or_a_refusal():
    refused = ModelRefused(model="m", input=HERE, job="b", rule="r", reason="x")
    ledger = ledger_of(exported("a"), refused, heard=[finished("job-of-a"), finished("b"), finished("c")])
    assert [each.training.job for each in ledger.unanswered()] == ["c"]


def test_candidates_are_the_models_exported_after_the_last_promotion():
    ledger = ledger_of(
        exported("a"), promoted("a", 1), exported("b"), exported("c"), ModelWithdrawn(model="c", reason="")
    )
    assert [each.exported.model for each in ledger.candidates()] == ["b"]
    assert ledger.champion("default").exported.model == "a"


def test_of_several_candidates_the_best_is_considered_first():
    ledger = ledger_of(exported("a", 0.3), exported("b", 0.6), exported("c", 0.5))
    assert [each.exported.model for each in ledger.candidates()] == ["b", "c", "a"]


def test_the_first_model_is_promoted_and_then_only_a_better_one():
    assert why_promote(exported("a", 0.1), None, 0) == "the project's first model"
    assert why_promote(exported("b", 0.6), exported("a", 0.5), 0) == "mAP50-95 0.600 against the champion's 0.500"
    assert why_promote(exported("b", 0.5), exported("a", 0.5), 0) is None
    assert why_promote(exported("b", 0.52), exported("a", 0.5), 0.05) is None


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, None),
        ({"unmatched": 2}, "2 of 40 boxes have no partner"),
        ({"max_box_px": 3.2}, "a corner differs by 3.200 px, more than 1.0 px"),
        ({"max_score": 0.5}, "a score differs by 0.5000, more than 0.01"),
    ],
)
def test_a_format_that_disagrees_is_refused_with_the_numbers(found, said):
    agreement = Agreement(**{"images": 9, "boxes": 40, "unmatched": 0, "max_box_px": 0.1, "max_score": 0.001, **found})
    assert disagreement(agreement, max_box_px=1.0, max_score=0.01) == said
