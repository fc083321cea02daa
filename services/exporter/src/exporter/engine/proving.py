"""The proof of a format: it runs on test images, and its answers are held beside those of the trained weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exporter.engine.adapters.contract import SUPPRESSED, Built, Runner
from exporter.engine.agreement import Deviation, Found, deviation, worst_of
from exporter.engine.contract import ProofImage
from exporter.engine.detecting import FLOOR, Asking
from exporter.engine.picture import draw_difference
from labelstream.events.model import Agreement, WorstImage
from labelstream.values import sha256_file
from labelstream_yolo.scoring.boxes import Detections, Image
from labelstream_yolo.scoring.measuring import Other, measured
from labelstream_yolo.scoring.values import Score

PICTURE = "worst.png"
TOGETHER = 3  # images at once, where any number should do


@dataclass(frozen=True)
class Question:
    """The test images, what the trained weights find in them, and what counts as a detection."""

    images: tuple[ProofImage, ...]
    trained: tuple[Found, ...]
    confidence: float
    names: tuple[str, ...]
    side: int  # of the square that images are letterboxed into, in pixels

    def apart(self, number: int, answers: Sequence[Found]) -> Deviation:
        """Return how far `answers` about an image are from the trained weights'."""
        return deviation(self.trained[number], answers, self.confidence, self.side)


def prove(question: Question, asking: Asking, built: Built, runner: Runner, folder: Path) -> tuple[Agreement, Path]:
    """Ask about every image; return how far it is from the trained weights, and a picture of the worst."""
    answers = _answers(question, asking, built.facts.input, runner)
    deviations = [question.apart(number, each) for number, each in enumerate(answers)]
    worst = worst_of(deviations)
    floor = (
        question.confidence if built.facts.output == SUPPRESSED else FLOOR
    )  # what the graph leaves out, both leave out
    before, after = _precision(question, [each[0] for each in answers], floor)
    picture = folder / PICTURE
    draw_difference(
        question.images[worst].path,
        question.trained[worst].above(question.confidence),
        _farthest(question, answers, worst).above(question.confidence),
        built.facts.name,
        question.names,
        picture,
    )
    agreement = Agreement(
        images=len(deviations),
        boxes=sum(each.boxes for each in deviations),
        unmatched=sum(each.unmatched for each in deviations),
        max_box_px=max(each.box_px for each in deviations),
        max_score=max(each.score for each in deviations),
        trained_map50=before.map50,
        map50=after.map50,
        trained_map50_95=before.map50_95,
        map50_95=after.map50_95,
        worst=_told(question.images[worst], deviations[worst]),
    )
    return agreement, picture


def rows(count: int, batch: int | None) -> Iterator[list[int]]:
    """Say which of `count` images are asked about at once, so that each is answered and every row is checked.

    A graph that takes exactly so many gets full batches, the last filled up from the first image on. One that takes any
    number gets each image alone, and then a few together: rows that come back empty would show.
    """
    if batch is not None:
        yield from ([(start + row) % count for row in range(batch)] for start in range(0, count, batch))
        return
    yield from ([number] for number in range(count))
    yield [row % count for row in range(TOGETHER)]


def _answers(question: Question, asking: Asking, taken: str, runner: Runner) -> list[list[Found]]:
    answers: list[list[Found]] = [[] for _ in question.images]
    images = [image.path for image in question.images]
    for number, found in asking.exported(runner, taken, images, rows(len(images), runner.batch)):
        answers[number].append(found)
    return answers


def _farthest(question: Question, answers: list[list[Found]], number: int) -> Found:
    """Return the answer about an image that is farthest from the trained weights', where it was asked about twice."""
    return answers[number][worst_of([question.apart(number, [each]) for each in answers[number]])]


def _precision(question: Question, exported: Sequence[Found], floor: float) -> tuple[Score, Score]:
    """Return the average precision of the trained weights and of the format, on the same images."""
    images = [_truth(image, found) for image, found in zip(question.images, question.trained, strict=True)]
    before = Other("trained", [_detections(found.above(floor)) for found in question.trained])
    after = [_detections(found.above(floor)) for found in exported]
    tested = measured("test", question.names, images, after, before, resamples=1)
    assert tested.champion is not None  # it was given  # noqa: S101
    return tested.champion.evaluation.score, tested.model.score


def _truth(image: ProofImage, size: Found) -> Image:
    sides = (size.width, size.height) * 2
    corners = np.array([box.corners() for box in image.boxes], dtype=np.float64).reshape(-1, 4) * sides
    class_ids = np.array([box.class_id for box in image.boxes], dtype=np.intp)
    return Image(image.path.name, size.width, size.height, "", corners, class_ids)


def _detections(found: Found) -> Detections:
    return Detections(found.boxes, found.classes, found.scores)


def _told(image: ProofImage, apart: Deviation) -> WorstImage:
    return WorstImage(image=sha256_file(image.path), box_px=apart.box_px, score=apart.score, unmatched=apart.unmatched)
