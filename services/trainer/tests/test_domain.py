"""Which model serves, as model-events tell."""

from __future__ import annotations

from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelExported, ModelPromoted, ModelWithdrawn
from labelstream.events.training import DatasetRef, Metrics, TrainingFinished, TrainingRequested
from labelstream.trainings import JobBook
from labelstream.values import FileRef, Position
from trainer.domain import Champions

METRICS = Metrics(map50=0.9, map50_95=0.7, precision=0.9, recall=0.8, images=5)
FILE = FileRef.of("m", b"m")
DATASET = DatasetRef(
    id="d" * 64, description=FILE, cut=Position(stream="annotation-events", offset=1), samples={}, test_images=5
)


def finished(job: str) -> TrainingFinished:
    return TrainingFinished(
        job=job,
        attempt=1,
        dataset=DATASET,
        weights=FileRef.of(f"{job}/weights", b"w"),
        architecture=FileRef.of(f"{job}/architecture", b"a"),
        best_epoch=1,
        validation=METRICS,
        test=METRICS,
    )


def book() -> JobBook:
    book = JobBook()
    for job in ("one", "two"):
        asked = TrainingRequested(job=job, cause="policy", dataset=DATASET, recipe={}, recipe_digest="0" * 64)
        for event in (asked, finished(job)):
            book.fold(0, Envelope.of(event, source="trainer", answers=job, project="cars"))
    return book


def exported(model: str, job: str) -> ModelExported:
    return ModelExported(
        model=model,
        input=Position(stream="training-events", offset=1),
        job=job,
        dataset_id="d",
        manifest=FILE,
        signature=FILE,
        artifacts=(),
        test=METRICS,
    )


def promoted(model: str, number: int) -> ModelPromoted:
    return ModelPromoted(
        model=model, number=number, manifest=FILE, signature=FILE, statement="s", statement_signature="s", reason="r"
    )


def champions(*events) -> Champions:
    champions = Champions()
    for offset, event in enumerate(events):
        champions.fold(offset, Envelope.of(event, source="exporter", answers=str(offset), project="cars"))
    return champions


def test_the_champion_is_the_model_that_was_promoted_last_with_the_weights_of_its_training():
    told = champions(exported("m1", "one"), exported("m2", "two"), promoted("m2", 1), promoted("m1", 2))
    champion = told.champion("cars", book())
    assert champion is not None
    assert (champion.id, champion.weights.key, champion.architecture.key) == ("m1", "one/weights", "one/architecture")


def test_a_project_without_a_promotion_has_no_champion():
    assert champions(exported("m1", "one")).champion("cars", book()) is None
    assert champions(exported("m1", "one"), promoted("m1", 1)).champion("boats", book()) is None


def test_a_model_whose_training_is_not_known_is_nothing_to_compare_with():
    assert champions(exported("m9", "nine"), promoted("m9", 1)).champion("cars", book()) is None
    assert champions(promoted("m9", 1)).champion("cars", book()) is None


def test_a_withdrawn_model_serves_until_another_is_promoted():
    told = champions(exported("m1", "one"), promoted("m1", 1), ModelWithdrawn(model="m1", reason="r"))
    assert told.champion("cars", book()) is not None
