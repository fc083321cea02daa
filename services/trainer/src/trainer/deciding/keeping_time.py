"""Which times of the schedule were kept: a note in the store, so that a time missed while we were away is caught up."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import ValidationError

from labelstream import keys
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.values import Value
from trainer.deciding.policy import Schedule


class Kept(Value):
    """Up to when a project's schedule was kept."""

    schedule: str
    until: datetime


@dataclass
class Timekeeper:
    """Says when the schedule of a project is due; a time that was missed is due once, however many were."""

    schedule: Schedule
    blobs: Blobs
    _kept: dict[str, datetime] = field(default_factory=dict)

    async def due(self, project: str, now: datetime) -> datetime | None:
        """Return the time that is to be kept, or None. Raises Unavailable."""
        until = self._kept.get(project) or await self._since(project, now)
        moment = self.schedule.last(now)
        return moment if moment > until else None

    async def keep(self, project: str, moment: datetime) -> None:
        """Note that whatever was due up to `moment` was done. Raises Unavailable."""
        note = Kept(schedule=self.schedule.cron, until=moment)
        await self.blobs.put(keys.schedule(project), note.model_dump_json().encode())
        self._kept[project] = moment

    async def _since(self, project: str, now: datetime) -> datetime:
        """Return since when this schedule is to be kept; a schedule that is new begins now."""
        note: Kept | None = None
        with suppress(BlobNotFound, ValidationError):  # what can't be read is as good as not there
            note = Kept.model_validate_json((await self.blobs.get(keys.schedule(project))).data)
        if note is None or note.schedule != self.schedule.cron:
            await self.keep(project, now)
            return now
        self._kept[project] = note.until
        return note.until
