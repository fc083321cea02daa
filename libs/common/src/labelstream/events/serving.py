"""Events of `serving-events`: telemetry of the inference replicas."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from labelstream.events.base import SERVING_EVENTS, Event


class ModelActivated(Event):
    """A replica answers with this model now."""

    type: ClassVar[str] = "model.activated"
    stream: ClassVar[str] = SERVING_EVENTS

    model: str
    number: int = Field(description="the promotion that was followed")
    replica: str
    artifact: str
    seconds: float = Field(description="from reading the promotion to the first golden answer")


class ModelActivationFailed(Event):
    """A replica refused a promoted model and keeps what it had."""

    type: ClassVar[str] = "model.activation_failed"
    stream: ClassVar[str] = SERVING_EVENTS

    model: str
    number: int
    replica: str
    rule: str
    reason: str
    serving: str | None = Field(None, description="the model that still answers")


class ModelReverted(Event):
    """A replica went back from a model to the one before it, in the model's first minutes."""

    type: ClassVar[str] = "model.reverted"
    stream: ClassVar[str] = SERVING_EVENTS

    model: str = Field(description="the model that went back; this replica does not try its promotion again")
    number: int = Field(description="its promotion")
    replica: str
    rule: str = Field(description="probation.failed, probation.slow or probation.died")
    reason: str
    serving: str = Field(description="the model that answers again")
    serving_number: int = Field(description="its promotion")
