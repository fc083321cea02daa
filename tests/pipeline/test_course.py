"""What one undisturbed course of the pipeline comes to."""

import time

import pytest

from labelstream.classes import ClassSchema

from .conftest import Reference
from .course import MIN_NEW, SCHEMA
from .drawing import GOOD, SIDE, shot, the_push
from .watching import predict

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(900)]


def test_every_message_has_one_receipt_in_order_and_says_what_it_came_to(reference: Reference) -> None:
    receipts = reference.course.receipts[: len(the_push())]
    assert [receipt.input.offset for receipt in receipts] == list(range(len(the_push())))
    outcomes = [outcome.outcome for receipt in receipts for outcome in receipt.outcomes]
    assert {kind: outcomes.count(kind) for kind in set(outcomes)} == {
        "recorded": GOOD + 1,
        "rejected": 1,
        "duplicated": 1,
        "held": 1,
    }


def test_the_training_was_cut_where_the_policy_was_met(reference: Reference) -> None:
    (requested,) = reference.course.requested
    cut = requested.dataset.cut.offset
    up_to_cut = [outcome for receipt in reference.course.receipts[: cut + 1] for outcome in receipt.outcomes]
    counted = [outcome for outcome in up_to_cut if outcome.outcome == "recorded" and outcome.validated]
    assert (requested.cause, len(counted)) == ("policy", MIN_NEW)
    assert up_to_cut[-1] == counted[-1]


async def test_the_model_answers_and_says_what_it_was_made_from(reference: Reference) -> None:
    (exported,), (promoted,) = reference.course.exported, reference.course.promoted
    answer = predict(reference.stack, shot("asked", "asked").image)
    assert promoted.model == exported.model
    assert answer["dataset"] == exported.dataset_id == reference.course.requested[0].dataset.id
    assert answer["class_schema"] == {"name": "shapes", "version": 1, "digest": ClassSchema(**SCHEMA).digest}
    assert answer["image"] == {"width": SIDE, "height": SIDE}


def test_what_was_exported_finds_the_boxes_that_the_trained_weights_find(reference: Reference) -> None:
    (artifact,) = reference.course.exported[0].artifacts
    agreement = artifact.agreement
    assert agreement.images == reference.course.requested[0].dataset.test_images
    assert (agreement.boxes > 0, agreement.unmatched) == (True, 0)


def test_the_time_from_the_newest_label_to_the_model_in_service_is_measured_once(reference: Reference) -> None:
    course, wanted = reference.course, {"project": "default"}
    said = {event.annotated_ms for event in (*course.requested, *course.exported, *course.promoted)}
    count = reference.inference.total("labelstream_label_to_live_seconds_count", **wanted)
    seconds = reference.inference.total("labelstream_label_to_live_seconds_sum", **wanted)
    assert (len(said), None in said, count) == (1, False, 1)
    assert 0 < (seconds or 0) < time.time() - min(said) / 1000
