"""From a finished training to a model: which formats are in, out, on their way, or wait for somebody.

    to come ──▶ built ──▶ proved, or allowed unproven ──▶ in the next bundle
       │          └─────▶ beyond its limits           ──▶ refused
       ├──▶ failed ─────────────────────────────────────▶ refused
       └──▶ nobody can build it: it waits ──▶ too long ─▶ refused

A bundle goes out once something is built and nothing is on its way any more. What comes later makes a new edition.
All of this is read from `model-events` and from what workers left, so whoever decides next goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from exporter.domain import Ledger, Trained
from exporter.exporting.announced import Announced
from exporter.exporting.editions import Editions
from exporter.exporting.looking import Absent, Building, Built, Failed, Looking, Stand
from exporter.exporting.options import ExportingOptions
from exporter.exporting.refusing import Why, judge, nobody_came, none_is_left
from exporter.exporting.voice import Voice
from labelstream.exports import WaitingFormat, open_formats, waiting_format
from labelstream.formats import Format
from labelstream.models import ModelBook

CERTAIN_S = 3600.0  # nobody is refused for want of a worker before we listened for so long


@dataclass
class Exporting:
    """Sees every finished training through to its model, or to its refusal."""

    ledger: Ledger
    book: ModelBook
    voice: Voice
    announced: Announced
    looking: Looking
    editions: Editions
    options: ExportingOptions
    now: Callable[[], float] = time.time
    waiting: dict[str, list[WaitingFormat]] = field(default_factory=dict)  # by project: what nobody can build now
    _settled: set[str] = field(default_factory=set)  # trainings of which nothing is to come any more
    _ready_at: dict[str, float] = field(default_factory=dict)  # training → when something of it was first ready

    async def tick(self) -> None:
        """Do whatever is due; raises Unavailable, and does the rest when it is called again."""
        await self.announced.look()
        waiting: dict[str, list[WaitingFormat]] = {trained.project: [] for trained in self.ledger.trained.values()}
        for trained in list(self.ledger.trained.values()):
            if trained.job not in self._settled:
                waiting[trained.project] += await self._see_to(trained)
        self.waiting = waiting

    async def _see_to(self, trained: Trained) -> list[WaitingFormat]:
        """Bring a training on; return what of it nobody can build now."""
        to_come = self._to_come(trained)
        if not to_come:
            await self._settle(trained)
            return []
        stands = {name: await self.looking.look(trained, Format.parse(name)) for name in to_come}
        for name, stand in stands.items():
            why = self._why_not(trained, Format.parse(name), stand)
            if why is not None:
                await self._refuse(trained, name, why)
        left = {name: stands[name] for name in self._to_come(trained)}
        await self._publish_if_due(trained, left)
        announced = self.announced.there
        absent = [name for name in self._to_come(trained) if isinstance(left[name], Absent)]
        return [waiting_format(name, trained.envelope.time_ms, announced) for name in absent]

    def _to_come(self, trained: Trained) -> tuple[str, ...]:
        return open_formats(self.book, trained.job, self.options.formats)

    async def _settle(self, trained: Trained) -> None:
        """End a training of which nothing is to come; say so if it has no model."""
        if not self.book.editions(trained.job) and not self.book.has_no_model(trained.job):
            await self._refuse(trained, None, none_is_left(self.book.refusals.get(trained.job, [])))
        self._settled.add(trained.job)
        self._ready_at.pop(trained.job, None)
        self.looking.forget(trained)

    def _why_not(self, trained: Trained, wanted: Format, stand: Stand) -> Why | None:
        """Say why a format is out; None while it is not."""
        match stand:
            case Built(left):
                return judge(wanted, left, self.options.allow_unproven)
            case Failed(failure):
                return Why(failure.rule, failure.reason)
            case Absent(silent_s):
                waited_h = (self.now() - trained.envelope.time_ms / 1000) / 3600
                if waited_h >= self.options.wait_h and silent_s >= min(CERTAIN_S, self.options.wait_h * 3600):
                    return nobody_came(wanted, waited_h, self.announced.there)
        return None

    async def _publish_if_due(self, trained: Trained, stands: dict[str, Stand]) -> None:
        if not any(isinstance(stand, Built) for stand in stands.values()):
            return
        since = self._ready_at.setdefault(trained.job, self.announced.now())
        is_slow = self.announced.now() - since >= self.options.slow_s
        if is_slow or not any(isinstance(stand, Building) for stand in stands.values()):
            for name, why in (await self.editions.publish(trained, stands)).items():
                await self._refuse(trained, name, why)
            self._ready_at.pop(trained.job, None)

    async def _refuse(self, trained: Trained, format_name: str | None, why: Why) -> None:
        cause = trained.envelope
        await self.voice.say(
            why.refused(trained, format_name),
            trained.project,
            cause.flow,
            cause.traceparent,
            answers=f"{trained.job}/{format_name or ''}",
        )
