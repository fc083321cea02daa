"""What was done when, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from chaos.judges.rates import Span
from chaos.schedule import Fault
from chaos.vitals import Looks


@dataclass
class Done:
    """A fault as it happened."""

    fault: Fault
    round: int
    begun: float
    hit: float | None = None  # it was done
    healing: float | None = None
    healed: float | None = None


@dataclass
class Back:
    """How long it took until everything was ready again."""

    round: int
    healed: float
    seconds: float | None  # None: it was not awaited, or never came
    missing: tuple[str, ...] = ()  # after the time that it may take


@dataclass
class Diary:
    """Everything that was done, line by line."""

    say: Callable[[str], object]
    file: Path | None = None  # keeps every line, whatever becomes of this process
    begun: float = field(default_factory=time.time)
    done: list[Done] = field(default_factory=list)
    back: list[Back] = field(default_factory=list)
    lines: list[tuple[float, str]] = field(default_factory=list)

    def tell(self, line: str) -> None:
        """Say something and keep it, with the seconds since the beginning."""
        now = time.time() - self.begun
        self.lines.append((round(now, 1), line))
        shown = f"{now:7.1f} s  {line}"
        self.say(shown)
        if self.file is not None:
            with self.file.open("a") as lines:
                lines.write(f"{shown}\n")

    def down(self, target: str, looks: Looks) -> list[Span]:
        """Return the times in which a service was stopped, paused or starting: until it was seen ready again."""
        hit = [one for one in self.done if one.fault.target == target]
        return list(_spans(hit, looks))


def _spans(hit: list[Done], looks: Looks) -> Iterator[Span]:
    never = float("inf")
    first = looks.ready_after(0.0)
    yield 0.0, never if first is None else first  # the first start, and the first model
    for one in hit:
        for begin, over in _strokes(one):
            ready = None if over is None else looks.ready_after(over)
            yield begin, never if ready is None else ready


def _strokes(one: Done) -> Iterator[tuple[float, float | None]]:
    """Yield when a program was struck, and from when on it could come back."""
    match one.fault.kind:
        case "kill":
            yield one.begun, one.hit
        case "pause":
            yield one.begun, one.healed
        case "clock":
            yield one.begun, one.hit
            if one.healing is not None:
                yield one.healing, one.healed
