"""What two models differ in: figures, classes, formats, how they were made, and what they find in the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from labelstream.champions import compared
from labelstream.events.model import Agreement, AgreementLimits
from labelstream.events.training import Interval, Metrics
from labelstream_cli.models.book import Books
from labelstream_cli.models.changes import Change, changes_between
from labelstream_cli.models.evaluation import ClassScore, Evaluation, ImageResult
from labelstream_cli.models.facts import FormatState, formats_of
from labelstream_cli.models.side import Side

NAMES = {"map50_95": "mAP50-95", "map50": "mAP50", "precision": "precision", "recall": "recall"}
_MOST_PAIRS = 8  # images that are shown
_LEAST = 0.02  # of the quality, in which both differ enough to be shown


@dataclass(frozen=True)
class Figure:
    """One figure of both models; None: there is none."""

    name: str
    a: float | None
    b: float | None
    a_interval: Interval | None = None
    b_interval: Interval | None = None
    difference_interval: Interval | None = None  # of pairs: both on the same resampled images
    class_id: int | None = None
    boxes: int = 0  # true ones of a class, in b's test

    @property
    def difference(self) -> float | None:
        """B less A."""
        return None if self.a is None or self.b is None else self.b - self.a

    @property
    def is_clear(self) -> bool:
        """Whether the difference is more than chance: its interval leaves 0 out, or the two intervals do not meet."""
        if self.difference_interval is not None:
            return self.difference_interval.low > 0 or self.difference_interval.high < 0
        if self.a_interval is None or self.b_interval is None:
            return False
        return self.a_interval.high < self.b_interval.low or self.b_interval.high < self.a_interval.low


@dataclass(frozen=True)
class FormatOf:
    """A format of one of the models."""

    state: FormatState
    size_bytes: int | None = None
    agreement: Agreement | None = None
    limits: AgreementLimits | None = None


@dataclass(frozen=True)
class Pair:
    """One test image, as each model sees it."""

    a: ImageResult
    b: ImageResult


@dataclass(frozen=True)
class Comparison:
    """Two models side by side, A the older as a rule."""

    a: Side
    b: Side
    same_images: bool
    note: str  # where the figures come from
    figures: tuple[Figure, ...]
    classes: tuple[Figure, ...]
    changes: tuple[Change, ...]
    formats: Mapping[str, tuple[FormatOf | None, FormatOf | None]]
    pairs: tuple[Pair, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """What could not be read, and why."""
        said = [(side.state.model, one) for side in (self.a, self.b) for one in side.missing]
        return tuple(f"{model[:12]}: {one}" for model, one in said)


@dataclass(frozen=True)
class _Tests:
    """The two tests that are compared."""

    a: Metrics
    b: Metrics
    a_scores: Evaluation | None
    b_scores: Evaluation | None
    interval: Interval | None
    same_images: bool
    note: str


def comparison(books: Books, a: Side, b: Side) -> Comparison:
    """Compare two models, on the same test images where one's training measured the other, or both had one dataset."""
    tests = _tests(books, a, b)
    return Comparison(
        a=a,
        b=b,
        same_images=tests.same_images,
        note=tests.note,
        figures=tuple(_figures(tests)),
        classes=tuple(_classes(tests)),
        changes=changes_between(a, b),
        formats=_formats(books, a, b),
        pairs=_pairs(a, b),
    )


def _tests(books: Books, a: Side, b: Side) -> _Tests:
    forth = compared(books.models, b.state, a.state, b.trained)
    if forth.how == "measured":
        theirs = b.tested.champion.evaluation if b.tested and b.tested.champion else None
        note = f"B's training measured A on the same {forth.new.images:,} test images"
        ours = b.tested.model if b.tested else None
        return _Tests(forth.old, forth.new, theirs, ours, forth.difference_interval, True, note)
    back = compared(books.models, a.state, b.state, a.trained)
    if back.how == "measured":
        theirs = a.tested.champion.evaluation if a.tested and a.tested.champion else None
        found = back.difference_interval
        turned = Interval(low=-found.high, high=-found.low) if found else None
        note = f"A's training measured B on the same {back.new.images:,} test images"
        return _Tests(back.new, back.old, a.tested.model if a.tested else None, theirs, turned, True, note)
    note = (
        f"both were tested on the same {forth.new.images:,} images of one dataset"
        if forth.same_images
        else f"each was tested on its own images, A on {forth.old.images:,}, B on {forth.new.images:,}: "
        "the figures say little about which is better"
    )
    scores = (a.tested.model if a.tested else None, b.tested.model if b.tested else None)
    return _Tests(forth.old, forth.new, *scores, None, forth.same_images, note)


def _figures(tests: _Tests) -> list[Figure]:
    found = []
    for field, name in NAMES.items():
        a, b = tests.a, tests.b
        figure = Figure(name, getattr(a, field), getattr(b, field), _interval(a, field), _interval(b, field))
        found.append(replace(figure, difference_interval=tests.interval) if field == "map50" else figure)
    return found


def _interval(metrics: Metrics, field: str) -> Interval | None:
    interval: Interval | None = getattr(metrics, f"{field}_interval", None)
    return interval


def _classes(tests: _Tests) -> list[Figure]:
    """Return mAP50-95 of each class, the one that changed most first."""
    a_scores, b_scores = _by_name(tests.a_scores), _by_name(tests.b_scores)
    names = dict.fromkeys([*b_scores, *a_scores, *tests.b.per_class, *tests.a.per_class])
    found = []
    for name in names:
        a, b = a_scores.get(name), b_scores.get(name)
        either = b or a
        found.append(
            Figure(
                name,
                a.map50_95 if a else tests.a.per_class.get(name),
                b.map50_95 if b else tests.b.per_class.get(name),
                a.map50_95_interval if a else None,
                b.map50_95_interval if b else None,
                class_id=either.class_id if either else None,
                boxes=either.boxes if either else 0,
            )
        )
    shown = [each for each in found if each.a is not None or each.b is not None]
    return sorted(shown, key=lambda each: (each.difference is None, -abs(each.difference or 0), each.name))


def _by_name(evaluation: Evaluation | None) -> dict[str, ClassScore]:
    return {each.name: each for each in evaluation.classes} if evaluation else {}


def _formats(books: Books, a: Side, b: Side) -> dict[str, tuple[FormatOf | None, FormatOf | None]]:
    of_a, of_b = _formats_of(books, a), _formats_of(books, b)
    return {name: (of_a.get(name), of_b.get(name)) for name in dict.fromkeys([*of_a, *of_b])}


def _formats_of(books: Books, side: Side) -> dict[str, FormatOf]:
    refs = {ref.name: ref for ref in side.state.exported.artifacts}
    found = {}
    for fact in formats_of(books.models, side.state):
        ref, artifact = refs.get(fact.name), side.artifact(fact.name)
        if ref is None:
            found[fact.name] = FormatOf(fact.state)
            continue
        size = artifact.plain_bytes if artifact else ref.big_part.size_bytes
        found[fact.name] = FormatOf(fact.state, size, ref.agreement, artifact.limits if artifact else None)
    return found


def _pairs(a: Side, b: Side) -> tuple[Pair, ...]:
    """Return the images that both evaluations tell of and on which the models differ most."""
    of_a = _images(a)
    both = [Pair(of_a[name], result) for name, result in _images(b).items() if name in of_a]
    differing = [pair for pair in both if abs(pair.b.quality - pair.a.quality) >= _LEAST]
    return tuple(sorted(differing, key=_distance)[:_MOST_PAIRS])


def _distance(pair: Pair) -> tuple[float, str]:
    return -abs(pair.b.quality - pair.a.quality), pair.a.image


def _images(side: Side) -> dict[str, ImageResult]:
    results: Sequence[ImageResult] = side.tested.images if side.tested else ()
    return {result.image: result for result in results}
