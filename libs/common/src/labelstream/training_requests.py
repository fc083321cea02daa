"""What a person may ask the trainer for, by the queue `requests.trainer`, and what it answers, in the data bucket."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from labelstream.answers import AnswerId
from labelstream.values import FileRef, Value

QUEUE = "requests.trainer"
ASKS = ("cut", "dataset", "cancel", "retry")

Outcome = Literal["waiting", "requested", "known", "cancelling", "cancelled", "refused"]


class TrainingRequest(Value):
    """The payload of a request: exactly one of `cut`, `dataset`, `cancel` and `retry` is asked for."""

    cut: Annotated[int, Field(strict=True, ge=0)] | None = Field(
        None, description="train on what `annotation-events` said up to this offset, inclusive"
    )
    dataset: FileRef | None = Field(None, description="train on a stored dataset: its dataset.json")
    recipe: dict[str, Any] | str | None = Field(
        None, description="a whole recipe as data, or a shipped one's name; null: the trainer's own"
    )
    changes: dict[str, Any] = Field(default_factory=dict, description="fields of the recipe that are to be otherwise")
    cancel: str | None = Field(None, description="the job to end")
    reason: str = Field("", description="why it is cancelled")
    retry: str | None = Field(None, description="the failed or cancelled job to do again")
    answer: AnswerId | None = Field(None, description="where the answer is awaited: an id of this very asking")

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        asked = [name for name in ASKS if getattr(self, name) is not None]
        if len(asked) != 1:
            found = " and ".join(asked) or "nothing"
            raise ValueError(f"a request asks for one of {', '.join(ASKS)}, not for {found}")
        if (self.recipe is not None or self.changes) and asked[0] in ("cancel", "retry"):
            raise ValueError(f"a request to {asked[0]} a job brings no recipe")
        return self


class Answer(Value):
    """What became of a request."""

    outcome: Outcome = Field(description="known: the job is or was there already; cancelling: a worker is being told")
    job: str | None = Field(None, description="the job that is meant, where there is one")
    rule: str = Field("", description="of what was refused")
    reason: str = Field("", description="what it waits for, or why it was refused and what to do")
