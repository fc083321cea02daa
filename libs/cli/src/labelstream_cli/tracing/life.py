"""What is known of an annotation's life, step by step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from labelstream.events.annotation import Annotation
from labelstream.values import Position

Stage = Literal["message", "batch", "dataset", "training", "model", "service"]
Tone = Literal["good", "bad", "note"]
Content = tuple[str, str]  # digests of the image and of the labels


@dataclass(frozen=True)
class Step:
    """Something that happened, and the event that says so."""

    time_ms: int
    place: Position
    stage: Stage
    what: str
    details: tuple[str, ...] = ()
    tone: Tone = "note"
    data: dict[str, Any] = field(default_factory=dict)  # for machines

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        place = self.place.model_dump()
        return {"time_ms": self.time_ms, "event": place, "stage": self.stage, "what": self.what, **self.data}


@dataclass
class Life:
    """An annotation, as far as it is known."""

    project: str
    name: str
    steps: list[Step] = field(default_factory=list)
    state: str | None = None  # None while no receipt names it
    revision: int | None = None
    validated: bool = False
    annotation: Annotation | None = None
    contents: dict[Content, int] = field(default_factory=dict)  # what it ever held → the revision that brought it
    first_offset: int | None = None  # of annotation-events: where its first content stands
    datasets: list[str] = field(default_factory=list)  # that hold it, the newest first
    built: dict[str, str] = field(default_factory=dict)  # of these, those that nothing was trained on → what they hold
    not_searched: int = 0  # older datasets that were not looked into
    unreadable: list[str] = field(default_factory=list)  # datasets whose manifest is gone
    malformed: int = 0  # events that could not be read
    models: list[str] = field(default_factory=list)  # made from these datasets
    in_service: dict[str, list[str]] = field(default_factory=dict)  # model → the replicas that answer with it now

    @property
    def exists(self) -> bool:
        """Whether any receipt names it."""
        return self.state is not None

    def add(self, step: Step) -> None:
        """Take a step into account."""
        self.steps.append(step)

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        annotation = self.annotation
        return {
            "project": self.project,
            "name": self.name,
            "state": self.state,
            "revision": self.revision,
            "validated": self.validated,
            "image": annotation.image.model_dump() if annotation else None,
            "medium": annotation.medium if annotation else None,
            "datasets": self.datasets,
            "datasets_only_built": list(self.built),
            "datasets_not_searched": self.not_searched,
            "datasets_unreadable": self.unreadable,
            "malformed_events": self.malformed,
            "models": self.models,
            "in_service": self.in_service,
            "steps": [step.as_json() for step in self.steps],
        }
