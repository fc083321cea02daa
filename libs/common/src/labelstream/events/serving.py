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
