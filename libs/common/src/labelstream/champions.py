"""Which model served before the one that serves, and how another compares with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from labelstream.events.training import Interval, Metrics, TrainingFinished
from labelstream.models import ModelBook, ModelState


@dataclass(frozen=True)
class Compared:
    """A model beside the one in service, each measured on a test."""

    champion: str  # the model in service
    new: Metrics
    old: Metrics
    how: Literal["measured", "one dataset", "published"]  # measured: the model's training did, on its own test images
    note: str = ""  # why the images are not the same
    difference_interval: Interval | None = None  # of the mAP50, of pairs: both on the same resampled images
    unmeasured: dict[str, float] = field(default_factory=dict)  # classes that only the champion's own test shows

    @property
    def same_images(self) -> bool:
        """Whether both were measured on the same test images."""
        return self.how != "published"

    @property
    def gain(self) -> float:
        """The mAP50-95 less the champion's."""
        return self.new.map50_95 - self.old.map50_95

    @property
    def changes(self) -> dict[str, float]:
        """Each class's mAP50-95 less the champion's, the deepest fall first; one that is not tested any more has 0."""
        new, old = self.new.per_class, self.old.per_class
        both = {name: new[name] - old[name] for name in old if name in new}
        both |= {name: -value for name, value in self.unmeasured.items()}
        return dict(sorted(both.items(), key=lambda item: (item[1], item[0])))

    def in_words(self) -> str:
        """Say the two figures and where they come from, in one line."""
        where = f"on the same {self.new.images:,} test images" if self.same_images else self.note
        figures = f"mAP50-95 {self.new.map50_95:.3f} against {self.old.map50_95:.3f} of model {self.champion[:12]}"
        return f"{figures} {where}"


def compared(book: ModelBook, model: ModelState, champion: ModelState, trained: TrainingFinished | None) -> Compared:
    """Compare a model with another that serves, on the same test images where both were measured on them.

    They were when the model's training measured the champion's weights in its own test, and when both come from one
    dataset. Else each one's published figures are taken, and `note` says so.
    """
    new, old = model.exported.test, champion.exported.test
    unmeasured = {name: value for name, value in old.per_class.items() if name not in new.per_class}
    measured = trained.champion if trained else None
    other = book.models.get(measured.model) if measured else None
    if measured is not None and other is not None and other.exported.job == champion.exported.job:
        interval = measured.difference_interval
        return Compared(champion.model, new, measured.test, "measured", "", interval, unmeasured)
    if model.exported.dataset_id == champion.exported.dataset_id:
        return Compared(champion.model, new, old, "one dataset", "", None, unmeasured)
    why = "another one served when it was tested" if measured else "none was measured with it"
    note = f"each on its own test ({new.images:,} and {old.images:,} images: {why})"
    return Compared(champion.model, new, old, "published", note, None, unmeasured)


def served_before(book: ModelBook, project: str) -> ModelState | None:
    """Return the model to go back to: the last that served before the present one, and was not withdrawn.

    A rollback leaves what it went back from: two in a row go two steps back. Another edition of the same weights is
    the same model here.
    """
    champion = book.champion(project)
    if champion is None:
        return None
    for model in reversed(_standing(book, project)):
        state = book.models.get(model)
        if state is not None and state.withdrawn is None and state.exported.job != champion.exported.job:
            return state
    return None


def champion_at(book: ModelBook, project: str, offset: int) -> ModelState | None:
    """Return the model that served when the event at `offset` of `model-events` was written."""
    earlier = [each for each in book.promotions.get(project, []) if each.offset < offset]
    return book.models.get(earlier[-1].event.model) if earlier else None


def _standing(book: ModelBook, project: str) -> list[str]:
    """Return the models that served, without those that somebody rolled back from."""
    models: list[str] = []
    for promotion in book.promotions.get(project, []):
        model = promotion.event.model
        if promotion.event.cause == "rollback" and model in models:
            del models[models.index(model) :]
        models.append(model)
    return models
