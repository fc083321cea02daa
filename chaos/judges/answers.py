"""Every answer is that of the model that it names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from chaos.asking import Answer, Found, Question
from labelstream.events.model import ModelExported, ModelPromoted

# The same artifact on the same processor: an image alone in work gets every core and one of several gets one, and sums
# of another order differ in the last digits.
PIXELS, CONFIDENCE = 1e-2, 1e-3
MOST = 5

Place = tuple[str, str, int]  # model, artifact, image
Offline = Mapping[Place, tuple[Found, ...]]


def place_of(question: Question, answer: Answer) -> Place:
    """Return what decides an answer."""
    return answer.model, answer.artifact, question.image


def answers(questions: Iterable[Question], offline: Offline) -> Iterator[str]:
    """Judge whether each answer equals the offline one of the same artifact about the same image."""
    said = 0
    for question in questions:
        answer = question.answer
        if answer is None:
            continue
        expected = offline.get(place_of(question, answer))
        wrong = "has no offline answer" if expected is None else difference(answer.found, expected)
        if wrong is not None:
            said += 1
            if said <= MOST:
                yield f"image {question.image} by model {answer.model[:12]} ({answer.artifact}): {wrong}"
    if said > MOST:
        yield f"{said - MOST} more answers are not those of their models"


def difference(found: tuple[Found, ...], expected: tuple[Found, ...]) -> str | None:
    """Return how two answers differ; None when they are the same."""
    if len(found) != len(expected):
        return f"{len(found)} boxes, and {len(expected)} offline"
    for (class_id, confidence, *corners), (known, sure, *edges) in zip(found, expected, strict=True):
        if class_id != known:
            return f"class {class_id}, and {known} offline"
        if abs(confidence - sure) > CONFIDENCE:
            return f"confidence {confidence}, and {sure} offline"
        off = max(abs(one - other) for one, other in zip(corners, edges, strict=True))
        if off > PIXELS:
            return f"a corner is off by {off} pixels"
    return None


def farthest(questions: Iterable[Question], offline: Offline) -> float:
    """Return the largest difference of a corner, in pixels, among answers that are the same."""
    most = 0.0
    for question in questions:
        if question.answer is None:
            continue
        expected = offline.get(place_of(question, question.answer), ())
        if difference(question.answer.found, expected) is None:
            pairs = zip(question.answer.found, expected, strict=True)
            most = max([most, *(abs(a - b) for one, other in pairs for a, b in zip(one[2:], other[2:], strict=True))])
    return most


@dataclass
class Repeats:
    """What each model said first about each image."""

    _first: dict[Place, tuple[Found, ...]] = field(default_factory=dict)
    _judged: int = 0
    _wrong: list[str] = field(default_factory=list)

    def judge(self, questions: Sequence[Question]) -> Iterator[str]:
        """Judge whether a model answered the same image the same way each time; only what is new is looked at."""
        for question in questions[self._judged :]:
            if question.answer is None:
                continue
            before = self._first.setdefault(place_of(question, question.answer), question.answer.found)
            wrong = difference(question.answer.found, before)
            if wrong is not None and not self._wrong:
                model = question.answer.model[:12]
                self._wrong.append(f"image {question.image} by model {model} was answered otherwise before: {wrong}")
        self._judged = len(questions)
        yield from self._wrong


def promoted(
    questions: Iterable[Question], promotions: Iterable[ModelPromoted], exported: Iterable[ModelExported]
) -> Iterator[str]:
    """Judge whether each answer names a promotion that there was, its model, and the model's dataset."""
    models = {one.number: one.model for one in promotions}
    datasets = {one.model: one.dataset_id for one in exported}
    named = {(q.answer.promotion, q.answer.model, q.answer.dataset) for q in questions if q.answer is not None}
    for number, model, dataset in sorted(named):
        if models.get(number) != model:
            yield f"an answer names promotion {number} of model {model}, which was of {models.get(number)}"
        if datasets.get(model) != dataset:
            yield f"an answer of model {model} names dataset {dataset}, and it has {datasets.get(model)}"
