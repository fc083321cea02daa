"""The parts of a split that get a score of their own: classes, weather modes, sizes of boxes, source media."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from labelstream.classes import ClassSchema
from labelstream_yolo.scoring.matching import RANGES
from labelstream_yolo.scoring.pool import Pool
from labelstream_yolo.scoring.ranking import Ranking, ranked
from labelstream_yolo.scoring.values import SliceKind

NORMAL = "normal"  # the mode of a class whose name has none
MOST_SOURCES, LEAST_IMAGES = 8, 10  # media with a slice of their own; images of a medium that say something about it

Key = tuple[str, int]  # a part of the split, such as `all` or `small`, and a class


@dataclass(frozen=True)
class Slice:
    """A part with a score: the mean over its rankings."""

    by: SliceKind
    name: str
    keys: tuple[Key, ...]
    images: int


@dataclass(frozen=True)
class Slices:
    """Every ranking with true boxes that some score needs, and the slices that are made of them."""

    rankings: dict[Key, Ranking]
    slices: tuple[Slice, ...]

    @property
    def whole(self) -> tuple[Key, ...]:
        """The rankings of the whole split."""
        return tuple(key for key in self.rankings if key[0] == "all")

    def images_with(self, keys: Sequence[Key]) -> int:
        """Count the images that have true boxes of these rankings."""
        return _images_with([self.rankings[key] for key in keys])

    def boxes(self, keys: Sequence[Key]) -> int:
        """Count the true boxes."""
        return sum(self.rankings[key].boxes for key in keys)


def sliced(pool: Pool, names: Sequence[str]) -> Slices:
    """Rank what has to be ranked; a slice without a true box is left out."""
    rankings = _with_boxes("all", [ranked(pool, class_id) for class_id in range(len(names))])
    slices = list(_modes(rankings, names))
    for area in RANGES[1:]:
        mine = _with_boxes(area, [ranked(pool, class_id, area) for class_id in range(len(names))])
        rankings |= mine
        slices.append(Slice("size", area, tuple(mine), _images_with(list(mine.values()))))
    for medium, numbers in _sources(pool):
        only = np.array(numbers)
        mine = _with_boxes(f"of {medium}", [ranked(pool, class_id, only=only) for class_id in range(len(names))])
        rankings |= mine
        slices.append(Slice("source", medium, tuple(mine), len(numbers)))
    return Slices(rankings, tuple(some for some in slices if some.keys))


def _with_boxes(part: str, rankings: Sequence[Ranking]) -> dict[Key, Ranking]:
    return {(part, class_id): ranking for class_id, ranking in enumerate(rankings) if ranking.boxes}


def _images_with(rankings: Sequence[Ranking]) -> int:
    return int(np.any([ranking.truths > 0 for ranking in rankings], axis=0).sum()) if rankings else 0


def _modes(rankings: dict[Key, Ranking], names: Sequence[str]) -> Iterator[Slice]:
    """Yield a slice for each mode of the class names, the normal one first; nothing when they have no modes."""
    schema = ClassSchema.model_construct(name="", version=1, classes=tuple(names))  # no check: a test ends no training
    mode_of = {in_mode: mode for (_, mode), in_mode in schema.modes().items()}
    if not mode_of:
        return
    modes = [NORMAL, *sorted(set(mode_of.values()) - {NORMAL})]
    keys: dict[str, list[Key]] = {mode: [] for mode in modes}
    for key in rankings:
        keys[mode_of.get(key[1], NORMAL)].append(key)
    for mode, mine in keys.items():
        yield Slice("mode", mode, tuple(mine), _images_with([rankings[key] for key in mine]))


def _sources(pool: Pool) -> list[tuple[str, list[int]]]:
    """Return the media with enough images, the largest first, and the numbers of their images."""
    counts = Counter(image.medium for image in pool.images if image.medium)
    largest = sorted(counts, key=lambda medium: (-counts[medium], medium))[:MOST_SOURCES]
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, image in enumerate(pool.images):
        numbers[image.medium].append(number)
    return [(medium, numbers[medium]) for medium in largest if counts[medium] >= LEAST_IMAGES]
