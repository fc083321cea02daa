"""What the demonstration makes of the events of every stage."""

import pytest

from labelstream.events.annotation import AnnotationSettled, Outcome, Rejection
from labelstream.events.base import Event
from labelstream.events.batch import BatchAugmented, Member, Range, Variant
from labelstream.events.envelope import Envelope
from labelstream.events.model import Agreement, ArtifactRef, ModelExported, ModelPromoted, ModelRefused
from labelstream.events.serving import ModelActivated, ModelActivationFailed
from labelstream.events.training import (
    DatasetRef,
    Metrics,
    TrainingFailed,
    TrainingFinished,
    TrainingProgressed,
    TrainingRequested,
)
from labelstream.values import FileRef, Position
from labelstream_cli.demo.stages import Course
from labelstream_cli.demo.state import DemoState
from labelstream_cli.demo.watching import Programs, refusal


def state_of(*events: Event, baseline: int = -1) -> DemoState:
    state = DemoState("default", "demo", baseline)
    for offset, event in enumerate(events):
        state.fold(offset, envelope(event))
    return state


FILE = FileRef.of("key", b"content")
METRICS = Metrics(map50=0.93, map50_95=0.71, precision=0.9, recall=0.88, images=64, per_class={"car": 0.7})


def envelope(event: Event, project: str = "default") -> Envelope:
    return Envelope.of(event, source="test", answers="test", project=project)


def receipt(message_id: str, outcome: str, at: int = 0) -> AnnotationSettled:
    rejection = (
        Rejection(rule="class.unknown", reason="a class", hint="another class") if outcome == "rejected" else None
    )
    return AnnotationSettled(
        input=Position(stream="annotations", offset=at),
        message_id=message_id,
        message_key=message_id,
        wire="native",
        outcomes=(Outcome.model_validate({"name": message_id, "outcome": outcome, "rejection": rejection}),),
    )


def batch(first: int, last: int, names: tuple[str, ...] = (), variants: int = 7) -> BatchAugmented:
    def variant(number: int) -> Variant:
        return Variant(variant=number, image_path=f"{number}.jpg", sha256="0" * 64, boxes=1)

    members = tuple(
        Member(name=name, image="0" * 64, labels="1" * 64, variants=tuple(map(variant, range(variants + 1))))
        for name in names
    )
    return BatchAugmented(
        input=Range(stream="annotation-events", first=first, last=last),
        recipe="2" * 64,
        archive=FileRef.of(f"archive-{first}", b"tar") if names else None,
        members=members,
    )


def dataset(cut: int, name: str = "d1") -> DatasetRef:
    position = Position(stream="annotation-events", offset=cut)
    return DatasetRef(
        id=name, description=FILE, cut=position, samples={"train": 800, "val": 20, "test": 64}, test_images=64
    )


def requested(job: str, cut: int) -> TrainingRequested:
    return TrainingRequested(job=job, cause="request", dataset=dataset(cut), recipe={}, recipe_digest="3" * 64)


def progressed(job: str, epoch: int) -> TrainingProgressed:
    return TrainingProgressed(
        job=job,
        attempt=1,
        epoch=epoch,
        epochs=3,
        losses={"box_loss": 1.5},
        map50=0.5,
        map50_95=0.3,
        seconds=9,
        eta_s=18,
    )


def finished(job: str, cut: int) -> TrainingFinished:
    return TrainingFinished(
        job=job,
        attempt=1,
        dataset=dataset(cut),
        weights=FILE,
        architecture=FILE,
        best_epoch=3,
        validation=METRICS,
        test=METRICS,
    )


def failed(job: str) -> TrainingFailed:
    return TrainingFailed(job=job, attempt=1, rule="dataset.too_small", reason="2 test images, 5 are needed")


def exported(job: str, model: str) -> ModelExported:
    agreement = Agreement(images=64, boxes=120, unmatched=0, max_box_px=0.01, max_score=0.0001)
    artifact = ArtifactRef(
        name="onnx-fp32", format="onnx", precision="fp32", big_part=FILE, sealed_sha256="4" * 64, agreement=agreement
    )
    return ModelExported(
        model=model, input=Position(stream="training-events", offset=9), job=job, dataset_id="d1", manifest=FILE,
        signature=FILE, artifacts=(artifact,), test=METRICS,
    )  # fmt: skip


def refused(job: str) -> ModelRefused:
    place = Position(stream="training-events", offset=9)
    return ModelRefused(model="m0", input=place, job=job, rule="export.disagrees", reason="a corner differs by 3 px")


def promoted(model: str, number: int) -> ModelPromoted:
    return ModelPromoted(
        model=model,
        number=number,
        manifest=FILE,
        signature=FILE,
        statement="{}",
        statement_signature="",
        reason="the first",
    )


def activated(model: str) -> ModelActivated:
    return ModelActivated(model=model, number=1, replica="local", artifact="onnx-fp32", seconds=0.4)


def activation_failed(model: str) -> ModelActivationFailed:
    return ModelActivationFailed(model=model, number=1, replica="local", rule="signature.invalid", reason="one byte")


def test_receipts_of_ours_add_up_and_those_of_others_do_not_count() -> None:
    state = state_of(
        receipt("demo-1", "recorded"),
        receipt("other-2", "recorded"),
        receipt("demo-2", "duplicated"),
        receipt("demo-3", "rejected"),
    )

    assert state.receipts == {"recorded": 1, "duplicated": 1, "rejected": 1}
    assert (state.settled, state.last_receipt) == (3, 3)
    assert [one.hint for one in state.refused] == ["another class"]


def test_receipts_of_an_earlier_run_do_not_count_for_this_one() -> None:
    state = state_of(receipt("demo-1", "recorded", at=5), receipt("demo-2", "duplicated", at=6), baseline=5)

    assert state.receipts == {"duplicated": 1}
    assert (state.last_change, state.last_receipt) == (0, 1)


def test_events_of_another_project_change_nothing() -> None:
    state = DemoState("default", "demo")
    state.fold(0, envelope(receipt("demo-1", "recorded"), project="other"))

    assert (state.settled, state.events) == (0, 0)


def test_archives_and_variants_are_counted_once_and_originals_not() -> None:
    state = state_of(batch(0, 4, ("a", "b")), batch(5, 9), batch(0, 4, ("a", "b")))

    assert state.archives == {"archive-0": 14}
    assert state.augmented_to == 9


def test_a_training_is_the_one_of_the_cut_that_was_asked_for() -> None:
    state = state_of(requested("old", 3), requested("new", 9), progressed("new", 1), progressed("new", 2))
    seen = state.training_for(7)

    assert seen is not None
    assert (seen.requested.job, seen.progress and seen.progress.epoch, seen.finished) == ("new", 2, None)
    assert state.training_for(10) is None


def test_an_earlier_training_holds_as_long_as_nothing_changed_since() -> None:
    first = (receipt("demo-1", "recorded"), requested("job", 0), finished("job", 0))

    repeated = state_of(*first, receipt("demo-2", "duplicated"))
    changed = state_of(*first, receipt("demo-2", "edited"))

    same = repeated.same_training()
    assert same is not None
    assert same.requested.job == "job"
    assert changed.same_training() is None


def test_the_promotion_with_the_highest_number_holds() -> None:
    state = state_of(promoted("m2", 2), promoted("m1", 1))

    assert state.promoted == promoted("m2", 2)


# ---- why it can't succeed


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (failed("job"), "the training failed: dataset.too_small: 2 test images, 5 are needed"),
        (refused("job"), "the exporter refused the model: export.disagrees: a corner differs by 3 px"),
        (activation_failed("m1"), "local refused the promoted model: signature.invalid: one byte"),
    ],
)
def test_what_a_service_says_against_our_model_ends_the_demonstration(event: Event, said: str) -> None:
    state = state_of(requested("job", 0), exported("job", "m1"), event)

    assert refusal(state, Course(training=state.training_for(0))) == said


def test_what_is_said_against_other_models_does_not_end_it() -> None:
    state = state_of(requested("job", 0), requested("else", 0), exported("job", "m1"),
                     failed("else"), refused("else"), activation_failed("m0"))  # fmt: skip

    assert refusal(state, Course(training=state.trainings["job"])) is None
    assert refusal(state, Course()) is None


def test_a_format_that_was_refused_does_not_end_it() -> None:
    one = refused("job").model_copy(update={"format": "onnx-int8"})
    state = state_of(requested("job", 0), one)

    assert refusal(state, Course(training=state.training_for(0))) is None


def test_a_model_that_came_up_in_the_end_is_no_failure() -> None:
    state = state_of(requested("job", 0), exported("job", "m1"), activation_failed("m1"), activated("m1"))

    assert refusal(state, Course(training=state.training_for(0))) is None


def test_a_program_that_was_given_up_is_named() -> None:
    assert Programs(lambda: ["trainer", "inference"]).problem() == (
        "inference, trainer ended again and again and is not started any more"
    )
    assert Programs(list).problem() is None


# ---- what is shown


def test_every_stage_says_how_it_stands() -> None:
    state = state_of(receipt("demo-1", "recorded"), batch(0, 0, ("a",)), requested("job", 0), progressed("job", 2))
    course = Course(images=1, training=state.training_for(0))
    with course.stage("receipts"):
        pass
    course.began["training"] = 0.0

    rows = {row.stage: row for row in course.rows(state)}

    assert (rows["receipts"].standing, rows["receipts"].said) == ("done", "1 of 1: 1 recorded")
    assert rows["training"].standing == "runs"
    assert rows["training"].said == "epoch 2 of 3: box 1.50, validation mAP50 0.500, 18 s left"
    assert (rows["export"].standing, rows["export"].seconds) == ("waits", None)


def test_a_finished_training_shows_the_test_images() -> None:
    state = state_of(requested("job", 0), finished("job", 0))
    course = Course(training=state.training_for(0))
    with course.stage("training"):
        pass

    (row,) = [row for row in course.rows(state) if row.stage == "training"]

    assert row.said == "best epoch 3; on 64 test images mAP50 0.930"
