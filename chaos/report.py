"""What a run gave, as a table and as data."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from chaos.comparing import Comparing
from chaos.course import Course
from chaos.disturbing import INFERENCE
from chaos.judges.memory import LIMITS_MIB, MIB
from chaos.judges.rates import Rate, Span, rate
from labelstream.events.annotation import AnnotationSettled
from labelstream.events.batch import BatchAugmented
from labelstream.events.model import ModelExported, ModelPromoted
from labelstream.events.training import TrainingFinished, TrainingRequested


@dataclass(frozen=True)
class Report:
    """One run."""

    course: Course
    compared: Comparing
    seconds: float

    @property
    def down(self) -> list[Span]:
        """When inference itself was down."""
        looks = self.course.vitals.looks.get(INFERENCE)
        return [] if looks is None else self.course.diary.down(INFERENCE, looks)

    @property
    def rate(self) -> Rate:
        """How many predictions were answered."""
        return rate(self.course.asking.questions, self.down)

    def as_json(self) -> dict[str, Any]:
        """Return everything that is needed to compare runs, and to do this one again."""
        course, found = self.course, self.rate
        begun = course.diary.begun
        return {
            "seed": course.seed,
            "minutes": course.minutes,
            "seconds": round(self.seconds, 1),
            "wrong": course.evidence.wrong,
            "figures": dict(self.rows()),
            "answered": found.share,
            "alerts": {name: round(at - begun, 1) for name, at in self._fired.items()},
            "faults": [
                {
                    "round": one.round,
                    "fault": str(one.fault),
                    "begun": round(one.begun - begun, 1),
                    "healed": None if one.healed is None else round(one.healed - begun, 1),
                }
                for one in course.diary.done
            ],
            "lines": course.diary.lines,
        }

    def table(self) -> Table:
        """Return the figures for people."""
        wrong = len(self.course.evidence.wrong)
        verdict = f"{wrong} WRONG" if wrong else "all is right"
        title = f"chaos, seed {self.course.seed}, {self.course.minutes:g} min: {verdict}"
        made = Table(title=title)
        made.add_column("what", no_wrap=True)
        made.add_column("figures")
        for row in self.rows():
            made.add_row(*row)
        return made

    def rows(self) -> list[tuple[str, str]]:
        """Return the figures, line by line."""
        course = self.course
        kinds = Counter(one.fault.kind for one in course.diary.done)
        back = [one.seconds for one in course.diary.back if one.seconds is not None]
        rows = [
            ("faults", f"{kinds.total()}: " + ", ".join(f"{times} {kind}" for kind, times in kinds.most_common())),
            ("ready again", f"after {_of(back)} s, {len(back)} times" if back else "never looked at"),
            ("messages", f"{len(course.producing.sent)} sent, {len(course.streams.stored)} stored"),
            (
                "receipts",
                f"{len(course.streams.events(AnnotationSettled))}; the producer heard {len(course.producing.receipts)}",
            ),
            ("outcomes", self._outcomes()),
            ("batches", f"{len(course.streams.events(BatchAugmented))}"),
            ("datasets as in the replay", f"{self.compared.datasets}; of everything: {self.compared.dataset[:16]}"),
        ]
        if course.stage.trains:
            rows += self._rows_of_models()
        rows.append(("memory, most MiB", self._memory()))
        if course.alarms is not None:
            rows.append(("alerts that fired", ", ".join(sorted(self._fired)) or "none"))
        return rows

    def _rows_of_models(self) -> list[tuple[str, str]]:
        streams, found, questions = self.course.streams, self.rate, self.course.asking.questions
        took = sorted(q.ended - q.asked for q in questions if q.answer is not None)
        down_s = sum(min(end, self._ended) - max(begin, self._first) for begin, end in self.down if end > self._first)
        return [
            (
                "trainings",
                f"{len(streams.events(TrainingRequested))}, finished {len(streams.events(TrainingFinished))}",
            ),
            ("models", f"{len(streams.events(ModelExported))}, promotions {len(streams.events(ModelPromoted))}"),
            ("predictions", f"{found.asked_in_all} asked; inference was down for {down_s:.0f} s"),
            ("answered while it was up", f"{found.answered} of {found.asked}: {found.share:.2%}"),
            (
                "seconds to an answer",
                f"{_at(took, 0.5):.3f} (p50), {_at(took, 0.99):.2f} (p99), {_at(took, 1):.1f} (most)",
            ),
            (
                "answers as offline",
                f"{self.compared.offline_answers} of models × images, corners within {self.compared.farthest_px:g} px",
            ),
        ]

    @property
    def _first(self) -> float:
        return min((one.asked for one in self.course.asking.questions), default=0.0)

    @property
    def _ended(self) -> float:
        return max((one.ended for one in self.course.asking.questions), default=0.0)

    @property
    def _fired(self) -> dict[str, float]:
        return self.course.alarms.fired if self.course.alarms is not None else {}

    def _outcomes(self) -> str:
        settled = self.course.streams.events(AnnotationSettled)
        kinds = Counter(outcome.outcome for receipt in settled for outcome in receipt.outcomes)
        return ", ".join(f"{times} {kind}" for kind, times in kinds.most_common())

    def _memory(self) -> str:
        weights = self.course.vitals.weights
        most = {
            program: max(one.bytes for one in weights[program]) / MIB for program in LIMITS_MIB if program in weights
        }
        return ", ".join(f"{program} {held:.0f} of {LIMITS_MIB[program]}" for program, held in most.items())


def _of(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.1f} (median), {max(seconds):.1f} (most)"


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
