"""Is the model better than the one in service?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from labelstream.events.training import Interval
from labelstream_datasets.pages.words import counted, signed
from labelstream_yolo.scoring.values import Tested

Weight = Literal["good", "look", "bad"]


@dataclass(frozen=True)
class Said:
    """A sentence and its weight: good, to look at, or bad."""

    weight: Weight
    text: str
    head: str = ""


def verdict_on(tested: Tested) -> Said:
    """Say whether the difference to the champion is more than chance."""
    champion = tested.champion
    if champion is None and tested.champion_missing:
        return Said("look", f"The champion could not be measured: {tested.champion_missing}", "not compared")
    if champion is None:
        return Said("good", "No model was in service to compare it with.", "first of its kind")
    difference, interval = champion.difference, champion.difference_interval
    measured = f"mAP50 {signed(difference)} against the champion {champion.model[:12]} on the same test images"
    if champion.unknown_classes:
        measured += f" (it does not know {counted(len(champion.unknown_classes), 'class')})"
    if interval is None:
        return Said("look", f"{measured}; how sure that is was not measured.", "unsure")
    spread = f"{measured}, with 95 % confidence between {signed(interval.low)} and {signed(interval.high)}"
    if interval.low > 0:
        return Said("good", f"{spread}: better by more than chance.", "better")
    if interval.high < 0:
        return Said("bad", f"{spread}: worse by more than chance.", "worse")
    return Said("look", f"{spread}: that may be chance.", "no clear difference")


def width(interval: Interval | None) -> float:
    """Return how far apart an interval's ends are; 0 for none."""
    return 0.0 if interval is None else interval.high - interval.low
