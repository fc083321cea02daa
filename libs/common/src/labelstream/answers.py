"""Answers of deciders to what people ask by a queue: small objects in the data bucket, where askers look for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import StringConstraints, ValidationError

from labelstream import keys
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.values import Value

AnswerId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
A = TypeVar("A", bound=Value)


class _Awaited(Value):
    answer: AnswerId | None = None


def answer_id_in(payload: Mapping[str, Any]) -> str | None:
    """Return where the answer to a request is awaited, also when the rest of it can't be understood."""
    try:
        return _Awaited.model_validate(payload).answer
    except ValidationError:
        return None


async def read_answer(kind: type[A], blobs: Blobs, project: str, answer_id: str) -> A | None:
    """Return what a decider answered so far; None while it has not. Raises Unavailable."""
    try:
        return kind.model_validate_json((await blobs.get(keys.answer(project, answer_id))).data)
    except BlobNotFound:
        return None


async def write_answer(blobs: Blobs, project: str, answer_id: str, answer: Value) -> None:
    """Answer a request, over an earlier answer. Raises Unavailable."""
    await blobs.put(keys.answer(project, answer_id), answer.model_dump_json().encode())
