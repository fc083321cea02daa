"""The life of an annotation, told from its message to the model that answers."""

import json

import pytest

from .calling import call
from .conftest import Reference

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(900)]


async def test_an_annotation_is_traced_to_the_model_that_serves(reference: Reference) -> None:
    (requested,), (exported,) = reference.course.requested, reference.course.exported
    life = json.loads(await call(reference.stack, "trace", "film-3-1", "--json"))

    assert (life["state"], life["revision"], life["validated"]) == ("recorded", 1, True)
    assert requested.dataset.id in life["datasets"]
    assert exported.model in life["models"]
    stages = [step["stage"] for step in life["steps"]]
    assert [stage for number, stage in enumerate(stages) if stage not in stages[:number]] == [
        "message", "batch", "dataset", "training", "model", "service",
    ]  # fmt: skip
    message = life["steps"][0]
    receipt = next(one for one in reference.course.receipts if one.outcomes[0].name == "film-3-1")
    assert (message["message_id"], message["message"]) == (receipt.message_id, receipt.input.model_dump())
    held = next(step for step in life["steps"] if step["stage"] == "dataset")
    assert (held["cut"], held["samples"]) == (requested.dataset.cut.offset, 8 if held["split"] == "train" else 1)


async def test_what_was_refused_or_is_held_is_traced_as_far_as_it_came(reference: Reference) -> None:
    refused = json.loads(await call(reference.stack, "trace", "sticks-out", "--json"))
    assert (refused["state"], refused["steps"][0]["rejection"]["rule"]) == ("rejected", "box.outside")
    assert refused["models"] == []
    held = json.loads(await call(reference.stack, "trace", "never-recorded", "--json"))
    assert held["state"] == "held"


async def test_a_name_that_nobody_sent_is_answered_with_names_like_it(reference: Reference) -> None:
    said = json.loads(await call(reference.stack, "trace", "FILM-3-1", "--json", expected=1))
    assert said["state"] is None
    assert said["like"][0] == "film-3-1"
