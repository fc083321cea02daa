"""When a training is due without anybody asking: after so many newly validated annotations, and at set times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

from labelstream.errors import Misconfigured
from trainer.settings import TrainerGroup

VARIABLE = "LABELSTREAM_TRAINER__SCHEDULE"


def due(validated: Sequence[int], min_new: int, readable: int) -> int | None:
    """Return the cut that the policy asks for, or None.

    `validated` are the offsets at which annotations were validated since the last cut. The cut is the
    offset that completed `min_new` of them, not what happened to be read by then: so the trainings of a
    stream are the same whenever the trainer was away.
    """
    if min_new == 0 or len(validated) < min_new:
        return None
    cut = validated[min_new - 1]
    return cut if cut <= readable else None


def due_at_last(validated: Sequence[int], min_new: int, readable: int) -> int | None:
    """Return the cut of a policy that had to wait for its time: the newest of at least `min_new`, or None.

    What came while it waited is trained on at once, not in pieces of `min_new`, each with a wait of its own.
    """
    there = [offset for offset in validated if offset <= readable]
    return there[-1] if min_new and len(there) >= min_new else None


@dataclass(frozen=True)
class Schedule:
    """Times at which to train, as a cron expression in UTC."""

    cron: str

    def __post_init__(self) -> None:
        """Raise Misconfigured when the expression is none, or its time never comes."""
        try:
            self.next(datetime.now(UTC))
        except CronSimError as error:
            hint = "it is a cron expression in UTC, such as '0 3 * * *' for every day at 03:00"
            raise Misconfigured(f"{VARIABLE} = {self.cron!r} can't be understood ({error}); {hint}") from error
        except StopIteration as error:
            raise Misconfigured(f"{VARIABLE} = {self.cron!r} names a time that never comes") from error

    def next(self, after: datetime) -> datetime:
        """Return the first time after a moment."""
        return next(CronSim(self.cron, after))

    def last(self, until: datetime) -> datetime:
        """Return the last time up to a moment, inclusive."""
        return next(CronSim(self.cron, until + datetime.resolution, reverse=True))


@dataclass(frozen=True)
class Policy:
    """What starts a training by itself."""

    min_new: int = 0
    min_interval: timedelta = timedelta()
    schedule: Schedule | None = None

    @classmethod
    def of(cls, settings: TrainerGroup) -> Policy:
        """Read the settings. Raises Misconfigured."""
        schedule = Schedule(settings.schedule) if settings.schedule else None
        return cls(settings.min_new, timedelta(seconds=settings.min_interval_s), schedule)

    @property
    def counts(self) -> bool:
        """Whether anything but a request starts a training."""
        return self.min_new > 0 or self.schedule is not None

    def not_before(self, last: datetime | None) -> datetime | None:
        """Return when enough new annotations may start a training again; `last` is when they, or a schedule, did."""
        if last is None or not self.min_new or not self.min_interval:
            return None
        return last + self.min_interval

    def cut(self, validated: Sequence[int], readable: int, waits: bool) -> int | None:
        """Return the cut that enough new annotations ask for, or None; `waits`: the time for it has not come."""
        if waits:
            return None
        return (due_at_last if self.min_interval else due)(validated, self.min_new, readable)
