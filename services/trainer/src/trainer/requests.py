"""What somebody may ask the trainer for by hand: the payload of a job in the queue `requests.trainer`."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from labelstream import keys
from labelstream.jobs.ports import Taken
from labelstream.values import FileRef, Value
from trainer.policy import Cut

ANY_TIME = -1  # a stored dataset waits for nothing to be read


class Request(Value):
    """A training of everything up to a cut, or on a dataset that is stored."""

    cut: Annotated[int, Field(strict=True, ge=0)] | None = None
    dataset: FileRef | None = None  # its dataset.json

    @model_validator(mode="after")
    def _says_one(self) -> Self:
        if (self.cut is None) == (self.dataset is None):
            raise ValueError("a request names a cut or a dataset")
        return self


def read_request(taken: Taken) -> Cut:
    """Return what is asked for. Raises ValueError."""
    project, payload = taken.job.project, taken.job.payload
    try:
        request = Request.model_validate(payload)
    except ValidationError as error:
        raise ValueError("; ".join(each["msg"] for each in error.errors())) from error
    if request.dataset is not None and not request.dataset.key.startswith(keys.datasets(project)):
        raise ValueError(f"{request.dataset.key} is no dataset of the project {project}")
    offset = ANY_TIME if request.cut is None else request.cut
    return Cut(project, offset, "request", taken, request.dataset)
