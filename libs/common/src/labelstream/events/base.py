"""What every event is: a past fact with a type, a stream and a documented body."""

from __future__ import annotations

from typing import ClassVar

from labelstream.values import Value

ANNOTATION_EVENTS = "annotation-events"
BATCH_EVENTS = "batch-events"
TRAINING_EVENTS = "training-events"
MODEL_EVENTS = "model-events"
SERVING_EVENTS = "serving-events"
ACCESS_EVENTS = "access-events"


class Event(Value):
    """A fact that happened. Subclasses set `type`, in the past tense, and the `stream` that carries it."""

    type: ClassVar[str]
    stream: ClassVar[str]
