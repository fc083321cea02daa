"""What /readyz says of the models: ready means that every project has one that answers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from inference.metrics import LABEL_TO_LIVE, PROMOTION
from inference.serving.models import Models, Reverted
from labelstream.events.base import MODEL_EVENTS, SERVING_EVENTS
from labelstream.events.model import ModelPromoted
from labelstream.service.health import Health

NEWS = ("policy", "request")  # causes of promotions that bring what was learned; the others bring back, or add formats


class Dispensable(Health):
    """The health of what a replica works without: broker and store are needed for the next model only."""

    def __init__(self, replica: Health) -> None:
        """Tell `replica` of absences as something to look at, not as a reason to get no requests."""
        super().__init__()
        self._replica = replica

    def waiting(self, what: str, reason: str) -> None:
        """Say that `what` is away."""
        self._replica.degraded(what, reason)

    def ready(self, what: str) -> None:
        """Say that `what` is there (again)."""
        self._replica.degraded(what, None)

    def degraded(self, what: str, reason: str | None) -> None:
        """Say that somebody should look at `what`."""
        self._replica.degraded(what, reason)


@dataclass
class Standing:
    """Keeps health in step with the models. With a model in service a failure only degrades."""

    health: Health
    models: Models
    _label_to_live: dict[str, float] = field(default_factory=dict)  # by project, in seconds

    def __post_init__(self) -> None:
        for project in self.models.projects:
            self.health.waiting(_what(project), "the service has just started")

    def awaits(self, project: str, reason: str) -> None:
        """Say that a project's next model can't be had now."""
        if self.models.current(project) is None:
            self.health.waiting(_what(project), reason)
        else:
            self.health.degraded(_what(project), f"an older model serves: {reason}")

    def refused(self, project: str, rule: str, reason: str) -> None:
        """Say that a promotion was refused."""
        self.health.degraded(_what(project), f"{rule}: {reason}")
        if self.models.current(project) is None:
            self.health.waiting(_what(project), f"{rule}: {reason}")

    def serves(self, project: str) -> None:
        """Say which model answers now."""
        self.health.ready(_what(project))
        self.health.degraded(_what(project), None)
        self.tell()

    def went_live(self, project: str, promotion: ModelPromoted) -> None:
        """Measure how old the newest annotation is that a model learned, which has just begun to answer."""
        seconds = self._label_to_live_at(time.time(), project, promotion)
        if seconds is not None:
            LABEL_TO_LIVE.labels(project).observe(seconds)

    def begins_with(self, project: str, promotion: ModelPromoted, promoted_ms: int) -> None:
        """Say how old that annotation was at the promotion of a model that went live before this replica began."""
        if project not in self._label_to_live:
            self._label_to_live_at(promoted_ms / 1000, project, promotion)

    def _label_to_live_at(self, now: float, project: str, promotion: ModelPromoted) -> float | None:
        """Say it; return the seconds, or None for a promotion that brings nothing new."""
        if promotion.annotated_ms is None or promotion.cause not in NEWS:
            return None
        seconds = max(0.0, now - promotion.annotated_ms / 1000)
        self._label_to_live[project] = round(seconds, 1)
        self.health.fact("label_to_live", dict(self._label_to_live))
        return seconds

    def went_back(self, project: str, reverted: Reverted) -> None:
        """Say that the newest promotion went back, and that an older model answers."""
        said = f"promotion {reverted.number} of {reverted.model} went back: {reverted.rule}: {reverted.reason}"
        self.health.degraded(_what(project), said)
        self.tell()

    def tell(self) -> None:
        """Publish which models answer."""
        serving = self.models.serving()
        for project, model in serving.items():
            PROMOTION.labels(project).set(model.promotion)
        self.health.fact(
            "model",
            {
                name: {
                    "model": model.manifest.model,
                    "promotion": model.promotion,
                    "artifact": model.engine.artifact,
                    "backend": model.engine.backend,
                    "dataset": model.manifest.dataset_id,
                    "on_probation": self.models.before(name) is not None,
                }
                for name, model in serving.items()
            },
        )

    def read(self, stream: str, offset: int) -> None:
        """Say how far a stream has been read."""
        self.health.handled(stream, offset)

    def cut_off(self, reason: str | None) -> None:
        """Say that promotions can't be heard; None when they can again."""
        self.health.degraded(MODEL_EVENTS, reason)

    def unkept(self, reason: str | None) -> None:
        """Say that the disk does not take what a restart needs; None when it does again."""
        self.health.degraded("disk", reason)

    def unheard(self, reason: str | None) -> None:
        """Say that nobody hears what this replica says; None when they do again."""
        self.health.degraded(SERVING_EVENTS, reason)


def _what(project: str) -> str:
    return f"model of {project}"
