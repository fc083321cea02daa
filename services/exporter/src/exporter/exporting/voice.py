"""The exporter's voice on a stream of its own: one event after the other, each read back before the next."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from exporter import metrics
from labelstream.errors import Unavailable
from labelstream.events.base import Event
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelEvent, ModelRefused
from labelstream.service.health import Health
from labelstream.streams.journal import Journal
from labelstream.values import digest_of

NAME = "exporter"

log = structlog.get_logger()


@dataclass
class Voice:
    """Says events on the journal's stream. Each stands there, and is folded, when `say` returns."""

    journal: Journal
    health: Health
    source: str = NAME
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _unsettled: Envelope | None = None  # it was sent, and nobody knows whether it was stored

    async def say(self, event: Event, project: str, flow: str = "", traceparent: str = "", answers: str = "") -> None:
        """Say an event; `answers` makes its id, by default its content does.

        Raises Unavailable: then look at what is known now, and decide anew.
        """
        envelope = Envelope.of(
            event,
            source=self.source,
            answers=answers or digest_of(event.model_dump(mode="json")),
            project=project,
            flow=flow,
            traceparent=traceparent,
        )
        async with self._lock:
            if await self._settled(envelope):
                return
            await self._append(envelope)
        self._note(envelope)

    async def _settled(self, wanted: Envelope) -> bool:
        """Settle what may have been stored: it has taken the next number, so nothing else can have it."""
        earlier = self._unsettled
        if earlier is None:
            return False
        await self._append(earlier)
        self._note(earlier)
        if earlier.id != wanted.id:  # what is wanted now was decided without it
            raise Unavailable("broker", f"an earlier {earlier.event.type} was confirmed only now")
        return True

    async def _append(self, envelope: Envelope) -> None:
        self._unsettled = envelope
        await self.journal.append(self.source, [(self.journal.sequences[self.source] + 1, envelope)])
        self._unsettled = None

    def _note(self, envelope: Envelope) -> None:
        """Say in the log and the metrics what was said; the audit log is the audit log alone."""
        event, project = envelope.event, envelope.project
        if isinstance(event, ModelRefused):
            metrics.REFUSED.labels(project, event.format or "", event.rule).inc()
            log.warning(
                event.type, project=project, job=event.job, format=event.format, rule=event.rule, reason=event.reason
            )
        elif isinstance(event, ModelEvent):
            log.info(event.type, project=project, model=event.model)
