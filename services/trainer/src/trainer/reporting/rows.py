"""The rows of the report's tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from labelstream.values import Split
from labelstream_yolo.scoring.values import ClassScore, Confusion, Score, SliceKind, SliceScore
from trainer.reporting.content import ReportContent

MOST_OF_A_SLICE = 12  # rows of one kind; there may be thousands of sources


@dataclass(frozen=True)
class ClassRow:
    """A class in the test, and how often training saw it."""

    score: ClassScore
    trained: int  # images
    before: ClassScore | None = None  # the champion's

    @property
    def difference(self) -> float | None:
        """The mAP50 less the champion's."""
        if self.before is None or self.before.map50 is None or self.score.map50 is None:
            return None
        return self.score.map50 - self.before.map50

    @property
    def clearly(self) -> bool:
        """The two intervals do not meet."""
        if self.before is None or self.before.map50_interval is None or self.score.map50_interval is None:
            return False
        new, old = self.score.map50_interval, self.before.map50_interval
        return new.high < old.low or new.low > old.high


@dataclass(frozen=True)
class SliceRows:
    """The scores of one kind of slices, those with the lowest first where there are too many."""

    by: SliceKind
    rows: tuple[SliceScore, ...]
    left_out: int


@dataclass(frozen=True)
class Slip:
    """A class that was taken for another, or for background, or background for it."""

    true: str
    predicted: str
    count: int
    share: float  # of the true class's boxes; of all false boxes for the background


def class_rows(content: ReportContent) -> tuple[ClassRow, ...]:
    """Return the classes, the best first; those without true boxes come last."""
    before = {score.name: score for score in content.champion.evaluation.classes} if content.champion else {}
    rows = (
        ClassRow(score, images_of(content, "train", score.class_id), before.get(score.name))
        for score in content.evaluation.classes
    )
    return tuple(sorted(rows, key=lambda row: (*_falling(row.score), row.score.class_id)))


def fallen(rows: Iterable[ClassRow], by: float = 0.005) -> tuple[ClassRow, ...]:
    """Return the classes that the champion found better, the deepest fall first; less than `by` is rounding."""
    lower = [(row.difference, row) for row in rows if row.difference is not None and row.difference < -by]
    return tuple(row for _, row in sorted(lower, key=lambda pair: (pair[0], pair[1].score.class_id)))


def images_of(content: ReportContent, split: Split, class_id: int) -> int:
    """Return how many originals of a split show a class."""
    return content.dataset.count(split).class_images.get(class_id, 0)


def slice_rows(slices: Iterable[SliceScore]) -> tuple[SliceRows, ...]:
    """Group slices by their kind; sizes from small to large, others from the best. A sole mode is the whole test."""
    groups: dict[SliceKind, list[SliceScore]] = defaultdict(list)
    for score in slices:
        groups[score.by].append(score)
    return tuple(_shown(by, rows) for by, rows in groups.items() if len(rows) > 1 or by != "mode")


def slips(confusion: Confusion, most: int = 8) -> tuple[Slip, ...]:
    """Return the most frequent mistakes between two classes."""
    found = [
        Slip(confusion.names[y], confusion.names[x], count, count / sum(row))
        for y, row in enumerate(confusion.counts[:-1])
        for x, count in enumerate(row[:-1])
        if count and x != y
    ]
    return tuple(sorted(found, key=lambda slip: (-slip.count, slip.true, slip.predicted))[:most])


def _falling(score: Score) -> tuple[float, float]:
    return (1.0 if score.map50 is None else 0.0, -(score.map50 or 0.0))


_SIZES = {"small": 0, "medium": 1, "large": 2}


def _shown(by: SliceKind, rows: list[SliceScore]) -> SliceRows:
    if by == "size":
        rows = sorted(rows, key=lambda row: (_SIZES.get(row.name, len(_SIZES)), row.name))
        return SliceRows(by, tuple(rows), 0)
    rows = sorted(rows, key=lambda row: (*_falling(row), row.name))
    scored = [row for row in rows if row.map50 is not None]
    if len(rows) <= MOST_OF_A_SLICE:
        return SliceRows(by, tuple(rows), 0)
    shown = scored[-MOST_OF_A_SLICE:][::-1]
    return SliceRows(by, tuple(shown), len(rows) - len(shown))
