"""Which faults come, in which order: the same seed, the same faults."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Literal

Kind = Literal["kill", "pause", "cut", "black-hole", "delay", "half-close", "full-disk", "clock"]

NETWORK: tuple[Kind, ...] = ("cut", "black-hole", "delay", "half-close")
EVERYBODY = "everybody"  # is cut off from a server
# A store takes requests up to fifteen minutes off: with the small shifts a service goes on, with the large it can't.
SHIFTS_S = (600, -3600, -600, 3600)
# How often a kind comes in one deal of the deck; a deck is dealt to its end before the next one.
DECK: dict[Kind, int] = {
    "kill": 6, "pause": 4, "cut": 2, "black-hole": 2, "delay": 1, "half-close": 2, "full-disk": 1, "clock": 2,
}  # fmt: skip
LASTS_S: dict[Kind, tuple[float, float]] = {
    "kill": (0, 0),  # the supervisor starts it again
    "pause": (3, 30),
    "cut": (3, 20),
    "black-hole": (3, 25),
    "delay": (5, 20),
    "half-close": (3, 10),
    "full-disk": (5, 20),
    "clock": (15, 40),
}
TWO_AT_ONCE = 0.35  # of the rounds
IMPATIENT = 0.25  # of the rounds: the next one does not wait until everything is ready
REST_S = (2.0, 10.0)


@dataclass(frozen=True)
class Fault:
    """Something that is done to a program, and healed after a time."""

    kind: Kind
    target: str  # a program; of the network: who is cut off
    lasts_s: float
    after_s: float = 0.0  # since the round began
    server: str = ""  # of the network: which server is cut off
    shift_s: int = 0  # of a clock

    def __str__(self) -> str:
        """Say it in words, for the line of the log."""
        words = {
            "kill": f"{self.target} killed",
            "pause": f"{self.target} paused",
            "full-disk": f"the disk of {self.target} filled",
            "clock": f"{self.target} started again with its clock wrong by {self.shift_s // 60:+} min",
        }
        network = f"{self.kind} between {self.target} and {self.server}"
        lasting = f" for {self.lasts_s:.0f} s" if self.lasts_s else ""
        return words.get(self.kind, network) + lasting


@dataclass(frozen=True)
class Round:
    """One fault, or two at once; all are healed at its end."""

    number: int
    faults: tuple[Fault, ...]
    is_patient: bool  # everything is awaited before the rest begins
    rest_s: float


@dataclass(frozen=True)
class Menu:
    """What there is to choose from."""

    services: tuple[str, ...]
    servers: tuple[str, ...]
    disks: tuple[str, ...] = ()  # services whose disk can be filled
    clocks: tuple[str, ...] = ()  # services whose clock can be shifted

    @property
    def kinds(self) -> list[Kind]:
        """The deck, without what is not to be had."""
        missing = {kind for kind, targets in (("full-disk", self.disks), ("clock", self.clocks)) if not targets}
        return [kind for kind, times in DECK.items() for _ in range(times) if kind not in missing]

    def targets(self, kind: Kind) -> Sequence[tuple[str, str]]:
        """Return at whom a kind may be aimed: a target, and of the network a server."""
        if kind in NETWORK:
            return [(who, server) for who in (*self.services, EVERYBODY) for server in self.servers]
        names = {"full-disk": self.disks, "clock": self.clocks}.get(kind, (*self.services, *self.servers))
        return [(name, "") for name in names]


@dataclass
class _Decks:
    """Deals kinds, and targets of each kind, so that each comes before any comes twice."""

    menu: Menu
    chance: random.Random
    _kinds: list[Kind] = field(default_factory=list)
    _targets: dict[Kind, list[tuple[str, str]]] = field(default_factory=dict)
    _shifts: Iterator[int] = field(default_factory=lambda: cycle(SHIFTS_S))

    def kind(self) -> Kind:
        if not self._kinds:
            self._kinds = self.menu.kinds
            self.chance.shuffle(self._kinds)
        return self._kinds.pop()

    def other_kind(self, than: Kind) -> Kind | None:
        """Return another kind, soon to come anyway."""
        found = next((kind for kind in reversed(self._kinds) if kind != than), None)
        if found is not None:
            self._kinds.remove(found)
        return found

    def fault(self, kind: Kind, after_s: float, taken: Sequence[Fault] = ()) -> Fault | None:
        """Return a fault that does not meet one that is there already; None when there is none."""
        busy = {name for fault in taken for name in (fault.target, fault.server)}
        target = self._target(kind, busy)
        if target is None:
            return None
        lasts_s = round(self.chance.uniform(*LASTS_S[kind]), 1)
        shift_s = next(self._shifts) if kind == "clock" else 0
        return Fault(kind, target[0], lasts_s, after_s, target[1], shift_s)

    def _target(self, kind: Kind, busy: set[str]) -> tuple[str, str] | None:
        deck = self._targets.get(kind) or []
        if not deck:
            deck = list(self.menu.targets(kind))
            self.chance.shuffle(deck)
        found = next((target for target in reversed(deck) if not busy & set(filter(None, target))), None)
        if found is not None:
            deck.remove(found)
        self._targets[kind] = deck
        return found


def schedule(seed: int, menu: Menu) -> Iterator[Round]:
    """Yield rounds without end."""
    chance = random.Random(seed)
    decks = _Decks(menu, chance)
    number = 0
    while True:
        first = decks.fault(decks.kind(), 0.0)
        if first is None:
            continue
        faults = [first]
        if chance.random() < TWO_AT_ONCE:
            after_s = round(chance.uniform(0, max(1.0, first.lasts_s)), 1)
            kind = decks.other_kind(first.kind)
            second = decks.fault(kind, after_s, faults) if kind else None
            faults += [second] if second else []
        number += 1
        yield Round(number, tuple(faults), chance.random() >= IMPATIENT, round(chance.uniform(*REST_S), 1))
