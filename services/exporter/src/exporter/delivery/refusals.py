"""Counts who is turned away, and for what."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from exporter.delivery.problems import Who
from labelstream.events.access import AccessRefused

MOST_KINDS = 200  # told apart at once; what comes beyond is counted by name and rule alone: names are those we know
LONGEST = 200  # letters of what was asked for


@dataclass(frozen=True)
class _Kind:
    who: Who
    rule: str
    resource: str
    address: str
    project: str


class Refusals:
    """Counts since they were last taken."""

    def __init__(self) -> None:
        self._times: Counter[_Kind] = Counter()

    def count(self, who: Who, rule: str, resource: str, address: str, project: str) -> None:
        """Count one."""
        kind = _Kind(who, rule, resource[:LONGEST], address, project)
        if kind not in self._times and len(self._times) >= MOST_KINDS:
            kind = _Kind(who, rule, "", "", project)
        self._times[kind] += 1

    def taken(self) -> list[tuple[AccessRefused, str]]:
        """Return the counts as events with their projects, and begin anew."""
        counted, self._times = self._times, Counter()
        return [
            (
                AccessRefused(
                    kind=kind.who.kind,
                    name=kind.who.name,
                    rule=kind.rule,
                    resource=kind.resource,
                    address=kind.address,
                    times=times,
                ),
                kind.project,
            )
            for kind, times in counted.items()
        ]
