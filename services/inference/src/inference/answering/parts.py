"""What the routes share."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from inference.answering.predicting import Predictor
from inference.answering.wishes import Wishes
from inference.engine.geometry import ImageLimits
from inference.serving.models import Models, ServingModel
from inference.serving.ports import Decode, Gate


@dataclass(frozen=True)
class Parts:
    """Everything that answers a request; each file of routes takes what it needs."""

    models: Models
    predictor: Predictor
    gate: Gate
    limits: ImageLimits
    decode: Decode

    def enter(self, request: Request, wishes: Wishes) -> ServingModel:
        """Let a request in before its body is read: the caller may ask the project, and a model answers for it.

        Raises Rejected, Unavailable.
        """
        self.gate.admit(request, wishes.project or self.models.projects[0])
        return self.models.get(wishes.project, wishes.model)
