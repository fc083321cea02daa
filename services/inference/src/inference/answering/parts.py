"""What the routes share."""

from __future__ import annotations

import time
from dataclasses import dataclass

from fastapi import Request

from inference.answering.bodies import Bodies
from inference.answering.predicting import Predictor
from inference.answering.streaming import Streams
from inference.answering.wishes import Wishes
from inference.engine.geometry import ImageLimits
from inference.serving.models import Models, ServingModel
from inference.serving.ports import Decode, Gate
from labelstream.errors import Rejected

DEADLINE = "X-Deadline-Ms"


@dataclass(frozen=True)
class Parts:
    """Everything that answers a request; each file of routes takes what it needs."""

    models: Models
    predictor: Predictor
    gate: Gate
    limits: ImageLimits
    decode: Decode
    bodies: Bodies
    longest_wait_ms: int
    streams: Streams

    def enter(self, request: Request, wishes: Wishes) -> ServingModel:
        """Let a request in before its body is read: the caller may ask the project, and a model answers as wished.

        Raises Rejected, Unavailable.
        """
        self.gate.admit(request, wishes.project or self.models.projects[0])
        model = self.models.get(wishes.project, wishes.model)
        wishes.class_ids(model.manifest.class_schema)
        return model

    def deadline(self, request: Request) -> float:
        """Return when nobody waits for the answer any more, in seconds of `time.monotonic`. Raises Rejected."""
        told = request.headers.get(DEADLINE)
        if told is None:
            return time.monotonic() + self.longest_wait_ms / 1000
        if not (told.isascii() and told.isdecimal() and len(told) < 10 and int(told)):
            raise Rejected(
                "deadline.invalid",
                f"{DEADLINE} is {told[:50]!r}, and not a whole number of milliseconds",
                f"Send how long you wait at most, such as {self.longest_wait_ms}.",
            )
        return time.monotonic() + min(int(told), self.longest_wait_ms) / 1000
