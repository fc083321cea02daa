"""Images and detections to score: written by hand, drawn by hypothesis, or made by a detector of known habits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from labelstream_yolo.scoring.boxes import Detections, Image

NAMES = ("car", "bus", "van")
Box = tuple[int, Sequence[float]]  # class, corners
FoundBox = tuple[int, Sequence[float], float]  # class, corners, confidence


def image(*boxes: Box, name: str = "a.jpg", medium: str = "", side: int = 640) -> Image:
    """An image with these true boxes."""
    corners = np.array([corners for _, corners in boxes], dtype=float).reshape(-1, 4)
    return Image(name, side, side, medium, corners, np.array([class_id for class_id, _ in boxes], dtype=int))


def found(*boxes: FoundBox) -> Detections:
    """What a detector found in an image."""
    return Detections(
        np.array([corners for _, corners, _ in boxes], dtype=float).reshape(-1, 4),
        np.array([class_id for class_id, _, _ in boxes], dtype=int),
        np.array([confidence for _, _, confidence in boxes], dtype=float),
    )


def _corners(place: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    left, top, width, height = (8 * part for part in place)  # on a grid: equal overlaps and areas of 32² and 96² occur
    return left, top, left + width, top + height


corners = st.tuples(*[st.integers(0, 6)] * 2, *[st.integers(1, 14)] * 2).map(_corners)
classes = st.integers(0, len(NAMES) - 1)
confidences = st.sampled_from([0.1, 0.25, 0.5, 0.75, 0.9])  # few: many are equal
pictures = st.lists(
    st.tuples(
        st.lists(st.tuples(classes, corners), max_size=6),
        st.lists(st.tuples(classes, corners, confidences), max_size=9),
    ),
    min_size=1,
    max_size=5,
)


def split_of(drawn: Sequence[tuple[list[Box], list[FoundBox]]]) -> tuple[list[Image], list[Detections]]:
    """The images of what hypothesis drew, and what was found in them."""
    images = [image(*boxes, name=f"{number:03}.jpg") for number, (boxes, _) in enumerate(drawn)]
    return images, [found(*boxes) for _, boxes in drawn]


def imagined(count: int, seed: int, skill: float = 0.8, media: int = 0) -> tuple[list[Image], list[Detections]]:
    """Images with a few boxes each, and a detector that finds a box with the probability `skill`, and too much."""
    random = np.random.default_rng(seed)
    images, detections = [], []
    for number in range(count):
        boxes = int(random.integers(0, 6))
        true, class_ids = _boxes(random, boxes), random.integers(0, len(NAMES), boxes)
        seen = random.random(boxes) < skill
        wrong = int(random.integers(0, 4))
        near = true[seen] + random.normal(0, 3, (int(seen.sum()), 4))
        images.append(Image(f"{number:05}.jpg", 640, 640, f"film-{number % media}" if media else "", true, class_ids))
        detections.append(
            Detections(
                np.concatenate([near, _boxes(random, wrong)]),
                np.concatenate([class_ids[seen], random.integers(0, len(NAMES), wrong)]),
                np.concatenate([random.beta(4, 2, int(seen.sum())), random.beta(2, 4, wrong)]),
            )
        )
    return images, detections


def _boxes(random: np.random.Generator, count: int) -> np.ndarray:
    places = random.uniform(0, 480, (count, 2))
    return np.concatenate([places, places + random.uniform(12, 150, (count, 2))], axis=1)
