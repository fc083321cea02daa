"""What a person may ask the trainer for, and where the answer lies."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from labelstream.answers import answer_id_in, read_answer, write_answer
from labelstream.blobs.memory import MemoryBlobs
from labelstream.training_requests import Answer, TrainingRequest

HERE = "a" * 32
DATASET = {"key": "default/datasets/d/dataset.json", "sha256": "0" * 64, "size_bytes": 2}


@pytest.mark.parametrize(
    "payload",
    [
        {"cut": 9},
        {"cut": 0, "recipe": {"epochs": 3}},
        {"dataset": DATASET, "recipe": "demo"},
        {"cut": 3, "recipe": "demo", "changes": {"epochs": 3}},
        {"cancel": "j"},
        {"retry": "j"},
    ],
)
def test_one_thing_can_be_asked_for(payload: dict[str, Any]) -> None:
    asked = TrainingRequest.model_validate(payload).model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    assert asked == payload


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"cut": 9, "dataset": DATASET},
        {"cancel": "j", "retry": "j"},
        {"retry": "j", "recipe": {}},
        {"cancel": "j", "changes": {"epochs": 3}},
        {"cut": "9"},
        {"cut": -1},
    ],
)
def test_nothing_two_things_or_no_offset_is_no_request(payload: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrainingRequest.model_validate(payload)


def test_where_the_answer_is_awaited_is_known_although_the_rest_makes_no_sense() -> None:
    assert answer_id_in({"answer": HERE, "cut": "soon"}) == HERE
    assert answer_id_in({"answer": "../../lease.json", "cut": 3}) is None
    assert answer_id_in({"cut": 3}) is None


async def test_an_answer_is_read_as_it_was_written_last() -> None:
    blobs = MemoryBlobs()
    assert await read_answer(Answer, blobs, "default", HERE) is None
    await write_answer(blobs, "default", HERE, Answer(outcome="waiting", reason="not augmented yet"))
    answer = Answer(outcome="requested", job="j")
    await write_answer(blobs, "default", HERE, answer)
    assert await read_answer(Answer, blobs, "default", HERE) == answer
    assert await read_answer(Answer, blobs, "other", HERE) is None
