"""What was found to be wrong, and what a run gave: for people, for scripts and for who has to reproduce it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from chaos.diary import Diary


@dataclass
class Evidence:
    """Sentences about what must not be, each with the time at which it was first seen."""

    diary: Diary
    wrong: dict[str, float] = field(default_factory=dict)

    def add(self, sentences: Iterable[str]) -> None:
        """Keep what is new, and say it at once."""
        for sentence in sentences:
            if sentence not in self.wrong:
                self.wrong[sentence] = round(time.time() - self.diary.begun, 1)
                self.diary.tell(f"WRONG  {sentence}")
