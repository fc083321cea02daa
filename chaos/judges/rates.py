"""How many questions were answered outside the seconds in which inference itself was down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from chaos.asking import Question

WANTED = 0.995

Span = tuple[float, float]


@dataclass(frozen=True)
class Rate:
    """How many were asked while inference was up, and how many of these were answered."""

    asked: int
    answered: int
    asked_in_all: int

    @property
    def share(self) -> float:
        """Answered of those asked."""
        return self.answered / self.asked if self.asked else 1.0


def rate(questions: Iterable[Question], down: Sequence[Span]) -> Rate:
    """Count; a question belongs to the time at which it was first asked."""
    asked = answered = in_all = 0
    for question in questions:
        in_all += 1
        if any(begin <= question.asked <= end for begin, end in down):
            continue
        asked += 1
        answered += question.answer is not None
    return Rate(asked, answered, in_all)


def rates(found: Rate) -> Iterator[str]:
    """Judge it."""
    if not found.asked:
        yield "nothing was asked while inference was up"
    elif found.share < WANTED:
        yield f"{found.share:.2%} of {found.asked} predictions were answered, and {WANTED:.1%} are wanted"
