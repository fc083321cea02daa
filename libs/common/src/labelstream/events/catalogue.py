"""Every event type there is."""

from __future__ import annotations

from labelstream.events.access import (
    AccessGiven,
    AccessRefused,
    AccessRevoked,
    GrantMade,
    ResourceFetched,
    ResourceStored,
)
from labelstream.events.annotation import AnnotationErased, AnnotationSettled
from labelstream.events.base import Event
from labelstream.events.batch import BatchAugmented
from labelstream.events.model import ModelExported, ModelPromoted, ModelRefused, ModelWithdrawn
from labelstream.events.serving import ModelActivated, ModelActivationFailed, ModelReverted
from labelstream.events.training import (
    TrainingCancelled,
    TrainingFailed,
    TrainingFinished,
    TrainingProgressed,
    TrainingRecovered,
    TrainingRequested,
    TrainingStarted,
)

EVENTS: tuple[type[Event], ...] = (
    AnnotationSettled,
    AnnotationErased,
    BatchAugmented,
    TrainingRequested,
    TrainingStarted,
    TrainingProgressed,
    TrainingRecovered,
    TrainingFinished,
    TrainingFailed,
    TrainingCancelled,
    ModelExported,
    ModelRefused,
    ModelPromoted,
    ModelWithdrawn,
    ModelActivated,
    ModelActivationFailed,
    ModelReverted,
    AccessGiven,
    AccessRevoked,
    GrantMade,
    ResourceFetched,
    ResourceStored,
    AccessRefused,
)

BY_TYPE: dict[str, type[Event]] = {event.type: event for event in EVENTS}
