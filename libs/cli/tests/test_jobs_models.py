"""What became of a finished training, as `jobs show` tells it."""

from __future__ import annotations

from labelstream.events.envelope import Envelope
from labelstream.events.model import (
    ArtifactRef,
    ModelEvent,
    ModelExported,
    ModelPromoted,
    ModelRefused,
    ModelWithdrawn,
)
from labelstream.events.training import Metrics
from labelstream.models import ModelBook
from labelstream.values import FileRef, Position
from labelstream_cli.jobs.models import Model, told

FILE = FileRef.of("k", b"k")
HERE = Position(stream="training-events", offset=0)
METRICS = Metrics(map50=0.9, map50_95=0.5, precision=0.9, recall=0.9, images=10)


def exported(model: str, *formats: str, job: str = "job", edition: int = 1, waiting: tuple[str, ...] = ()):
    artifacts = tuple(
        ArtifactRef(name=name, format=name, precision="fp32", big_part=FILE, sealed_sha256="0" * 64) for name in formats
    )
    return ModelExported(
        model=model, input=HERE, job=job, dataset_id="d", manifest=FILE, signature=FILE, artifacts=artifacts,
        test=METRICS, edition=edition, waiting=waiting,
    )  # fmt: skip


def promoted(model: str, number: int) -> ModelPromoted:
    return ModelPromoted(
        model=model, number=number, manifest=FILE, signature=FILE, statement="", statement_signature="", reason="",
    )  # fmt: skip


def refused(format_name: str | None, job: str = "job") -> ModelRefused:
    return ModelRefused(model="", input=HERE, job=job, rule="r", reason=f"no {format_name}", format=format_name)


def of(*events: ModelEvent) -> Model | None:
    book = ModelBook()
    for offset, event in enumerate(events):
        book.fold(offset, Envelope.of(event, source="exporter", answers=str(offset), project="cars"))
    return told(book, "cars", "job")


def test_a_training_of_which_nothing_was_said_has_no_model_yet():
    assert of() is None
    assert of(exported("m", job="another"), refused(None, job="a third")) is None


def test_a_refused_format_is_told_and_is_not_the_end():
    model = of(refused("onnx-int8"))
    assert model == Model(refused_formats={"onnx-int8": "r: no onnx-int8"})
    assert of(refused("onnx-int8"), exported("m1", "onnx-fp32")).id == "m1"


def test_a_training_without_any_format_is_refused():
    assert of(refused("onnx-int8"), refused(None)).refused == "r: no None"


def test_the_newest_edition_stands_for_the_weights_with_what_still_waits():
    model = of(
        exported("m1", "onnx-fp32", waiting=("onnx-int8", "rknn-int8-rk3588")),
        promoted("m1", 1),
        exported("m2", "onnx-fp32", "onnx-int8", edition=2, waiting=("rknn-int8-rk3588",)),
        promoted("m2", 2),
    )
    assert (model.id, model.promoted, model.in_service) == ("m2", 2, True)
    assert (model.formats, model.waiting) == (("onnx-fp32", "onnx-int8"), ("rknn-int8-rk3588",))
    assert model.as_json()["waiting"] == ["rknn-int8-rk3588"]


def test_an_older_edition_in_service_means_that_the_weights_serve():
    assert of(exported("m1", "a"), promoted("m1", 1), exported("m2", "a", "b", edition=2)).in_service


def test_a_model_that_others_replaced_or_that_was_withdrawn_does_not_serve():
    model = of(exported("m1", "a"), promoted("m1", 1), exported("m9", "a", job="another"), promoted("m9", 2))
    assert (model.in_service, model.promoted, model.withdrawn) == (False, 1, False)
    gone = of(exported("m1", "a", waiting=("b",)), ModelWithdrawn(model="m1", reason="ghosts"))
    assert (gone.withdrawn, gone.waiting) == (True, ())
