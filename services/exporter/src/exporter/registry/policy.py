"""May a model take the champion's place? Every verdict has a reason with its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pydantic import Field

from labelstream.champions import Compared
from labelstream.events.model import ModelExported
from labelstream.events.training import Interval
from labelstream.values import Value

_MOST_NAMED = 3  # classes that fell
_ROUNDING = 1e-9  # 0.62 - 0.60 is a little less than 0.02


class PromotionPolicy(Value):
    """When a new model serves without anybody asking for it."""

    promotion: Literal["auto", "by-hand"] = Field(
        "auto", description="by-hand: other weights serve only when a person asks for it"
    )
    min_gain: float = Field(
        0.0, ge=0, le=1, description="mAP50-95 that a model must gain on the champion; 0: any gain will do"
    )
    max_class_fall: float = Field(
        0.05, ge=0, le=1, description="mAP50-95 that a class may lose; a fall within the champion's interval is chance"
    )
    min_first: float = Field(0.01, ge=0, le=1, description="mAP50-95 that a project's first model must reach")


class Verdict(NamedTuple):
    """Whether the model is promoted, and why or why not."""

    promote: bool
    reason: str


def on_first(model: ModelExported, policy: PromotionPolicy) -> Verdict:
    """Judge a project's first model: one that finds nothing is not promoted."""
    reached = f"the project's first model, mAP50-95 {model.test.map50_95:.3f}"
    if model.test.map50_95 < policy.min_first:
        return Verdict(False, f"{reached}: at least {policy.min_first:g} is asked of it")
    return _unless_by_hand(reached, policy)


def on_better(found: Compared, policy: PromotionPolicy, intervals: Mapping[str, Interval] | None = None) -> Verdict:
    """Judge a model beside the champion. `intervals`: where the champion's mAP50-95 of a class lies with 95 %."""
    said = f"{found.in_words()} ({_signed(found.gain)})"
    if found.gain <= 0 or found.gain < policy.min_gain - _ROUNDING:
        asked = f"a gain of at least {policy.min_gain:g}" if policy.min_gain else "a gain"
        return Verdict(False, f"{said}: {asked} is asked")
    fallen = _fallen(found, policy, intervals or {})
    if fallen:
        named = "; ".join(each.in_words() for each in fallen[:_MOST_NAMED])
        more = f" and {len(fallen) - _MOST_NAMED} more" if len(fallen) > _MOST_NAMED else ""
        return Verdict(False, f"{said}, but a class may fall by {policy.max_class_fall:g} at most: {named}{more}")
    return _unless_by_hand(f"{said}, and no class fell by more than {policy.max_class_fall:g}", policy)


@dataclass(frozen=True)
class _Fall:
    name: str
    before: float
    after: float | None  # None: the new test does not show the class
    interval: Interval | None

    def in_words(self) -> str:
        if self.after is None:
            return f"{self.name} from {self.before:.3f} to not tested"
        beyond = f", below {self.interval.low:.3f} … {self.interval.high:.3f}" if self.interval else ""
        return f"{self.name} from {self.before:.3f} to {self.after:.3f}{beyond}"


def _fallen(found: Compared, policy: PromotionPolicy, intervals: Mapping[str, Interval]) -> list[_Fall]:
    """Return the classes that fell by more than they may, and by more than chance where that is known."""
    falls = []
    for name, change in found.changes.items():
        if -change <= policy.max_class_fall + _ROUNDING:
            continue
        after = found.new.per_class.get(name)
        interval = intervals.get(name) if found.same_images else None
        if after is not None and interval is not None and after >= interval.low:
            continue
        before = found.unmeasured[name] if after is None else found.old.per_class[name]
        falls.append(_Fall(name, before, after, interval))
    return falls


def _unless_by_hand(reason: str, policy: PromotionPolicy) -> Verdict:
    if policy.promotion == "by-hand":
        return Verdict(False, f"it may serve ({reason}), but promotion is by hand here")
    return Verdict(True, reason)


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")
