"""Which models there are, as the public API tells it."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, Field

from exporter.delivery.problems import Problem
from labelstream.errors import Unavailable
from labelstream.events.base import MODEL_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.events.model import ArtifactRef
from labelstream.events.training import Metrics
from labelstream.models import ModelBook, ModelState, Promotion
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.streams.following import follow
from labelstream.streams.ports import Broker
from labelstream.values import FileRef

SERVING = "serving"  # stands for the model that serves, where a model's id may stand
READER = "exporter-serve"  # as the metrics call us


class PromotionAnswer(BaseModel):
    """The signed promotion of a model."""

    number: int = Field(description="rises with each promotion of the project; refuse a lower one than you have seen")
    statement: str = Field(description="the signed JSON: project, model, number, manifest digest")
    statement_signature: str = Field(description="ECDSA P-256 over the statement's bytes, base64")
    time_ms: int
    cause: Literal["policy", "request", "rollback", "edition"]
    reason: str


class ModelAnswer(BaseModel):
    """A model that was proved, sealed and signed."""

    model: str
    project: str
    job: str = Field(description="the training that its weights come from")
    dataset_id: str
    edition: int
    time_ms: int = Field(description="when it was exported")
    serving: bool
    withdrawn: bool
    test: Metrics
    manifest: FileRef = Field(description="in the model bucket, like everything that follows")
    signature: FileRef
    report: FileRef | None
    artifacts: tuple[ArtifactRef, ...]
    waiting: tuple[str, ...] = Field(description="formats that may still come, in a later edition")
    promotion: PromotionAnswer | None = Field(description="its last one; null: it never was promoted")


class ModelsPage(BaseModel):
    """Models of a project, the newest first."""

    project: str
    models: tuple[ModelAnswer, ...]
    next: str | None = Field(description="the cursor of the next page; null: there is none")


class ServingAnswer(PromotionAnswer):
    """What serves, and the signed promotion that says so."""

    project: str
    model: str
    manifest: FileRef
    signature: FileRef


@dataclass
class Models:
    """What was read of `model-events`. Nothing is answered from it before all of it was read once."""

    health: Health
    book: ModelBook = field(default_factory=ModelBook)
    is_read: bool = False

    def __post_init__(self) -> None:
        """Let /readyz wait until all was read once."""
        self.health.waiting(MODEL_EVENTS, "it is being read")

    def all_read(self) -> None:
        """Answer from now on."""
        self.is_read = True
        self.health.ready(MODEL_EVENTS)

    def page(self, project: str, limit: int, cursor: str | None) -> ModelsPage:
        """Return a page of a project's models. Raises Problem, Unavailable."""
        self._check_read()
        before = _offset_in(cursor) if cursor else None
        found = sorted(self.book.of(project), key=lambda state: state.offset, reverse=True)
        left = [state for state in found if before is None or state.offset < before]
        models = tuple(self.describe(state) for state in left[:limit])
        return ModelsPage(project=project, models=models, next=_cursor(left[limit - 1]) if len(left) > limit else None)

    def find(self, project: str, model: str) -> ModelState:
        """Return a model of the project by its id, or the one that serves. Raises Problem, Unavailable."""
        self._check_read()
        state = self.book.champion(project) if model == SERVING else self.book.models.get(model)
        if state is None or state.project != project:
            hint = f"See /v1/projects/{project}/models for those that there are."
            raise Problem(404, "model-unknown", f"project {project!r} has no model {model!r}", hint)
        return state

    def describe(self, state: ModelState) -> ModelAnswer:
        """Return what is said of a model."""
        exported = state.exported
        return ModelAnswer(
            **{name: getattr(exported, name) for name in _SAME},
            project=state.project,
            time_ms=state.envelope.time_ms,
            serving=self.book.champion(state.project) is state,
            withdrawn=state.withdrawn is not None,
            promotion=PromotionAnswer(**_promotion(state.promotions[-1])) if state.promotions else None,
        )

    def serving(self, project: str) -> ServingAnswer:
        """Return the promotion that counts. Raises Problem, Unavailable."""
        self._check_read()
        promotion = self.book.promotion(project)
        if promotion is None:
            hint = f"Promote one of /v1/projects/{project}/models."
            raise Problem(404, "nothing-serves", f"no model of project {project!r} was promoted yet", hint)
        event = promotion.event
        files = {"manifest": event.manifest, "signature": event.signature}
        return ServingAnswer(**_promotion(promotion), **files, project=project, model=event.model)

    def _check_read(self) -> None:
        if not self.is_read:
            raise Unavailable(MODEL_EVENTS, "it is still being read")


async def follow_models(broker: Broker, models: Models, health: Health) -> None:
    """Keep `models` up to date until cancelled."""
    await patiently(health, "broker", lambda: broker.ensure_stream(MODEL_EVENTS))
    tail = await patiently(health, "broker", lambda: broker.last_offset(MODEL_EVENTS))

    def fold(offset: int, envelope: Envelope) -> None:
        models.book.fold(offset, envelope)
        if not models.is_read and tail is not None and offset >= tail:
            models.all_read()

    def caught_up() -> None:
        """Take silence for the end, unless it is that of a broker which is away; the last event may be unreadable."""
        if not models.is_read and "broker" not in health.report()["waiting"]:
            models.all_read()

    if tail is None:
        models.all_read()
    await follow(broker, MODEL_EVENTS, "first", fold, health, caught_up=caught_up, reader=READER)


_SAME = (
    "model", "job", "dataset_id", "edition", "test", "manifest", "signature", "report", "artifacts", "waiting",
)  # fmt: skip


def _promotion(promotion: Promotion) -> dict[str, object]:
    names = ("number", "statement", "statement_signature", "cause", "reason")
    return {name: getattr(promotion.event, name) for name in names} | {"time_ms": promotion.time_ms}


def _cursor(state: ModelState) -> str:
    return base64.urlsafe_b64encode(f"before {state.offset}".encode()).decode().rstrip("=")


def _offset_in(cursor: str) -> int:
    try:
        word, offset = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(" ")
        if word == "before":
            return int(offset)
    except (ValueError, binascii.Error):
        pass
    raise Problem(400, "cursor-unknown", "the cursor is not one that this API gave", "Begin without a cursor.")
