"""Looks at everything: streams, kept datasets and the store, and returns what would go."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import ValidationError

from labelstream import keys
from labelstream.blobs.ports import BlobInfo, BlobNotFound, Blobs
from labelstream.events.batch import Rewritten
from labelstream.streams.ports import Broker
from labelstream_cli.gc.datasets import Datasets, Kept
from labelstream_cli.gc.plan import Plan, Sorting, Tally
from labelstream_cli.gc.roots import Roots
from labelstream_cli.gc.streams import Streams, none_of
from labelstream_cli.reaching import Tell, not_told
from labelstream_datasets.archives.augmenting import Augmenting

NOTE = keys.forwarding("")
_AT_ONCE = 16  # notes that are read
_NEVER = 1 << 62  # ms


@dataclass(frozen=True)
class Rules:
    """What the operator chose."""

    grace: timedelta
    keep_models: int | None = None  # None: all that were not withdrawn


@dataclass(frozen=True)
class Surveyed:
    """A project: what would go, what is kept and why, and what else takes room."""

    plan: Plan
    kept: Kept
    jobs: Tally = field(default_factory=Tally)
    given_up: Tally = field(default_factory=Tally)  # of the jobs' files: left by attempts that another one took over
    notes: tuple[str, ...] = ()  # what is not known, and does no harm


@dataclass
class _Sight:
    """What was seen of one project, and does not change while objects are removed."""

    datasets: Datasets
    notes: dict[str, str | None] = field(default_factory=dict)
    now: datetime | None = None  # by the store's clock


class Survey:
    """What can be known of some projects; look again whenever it matters."""

    def __init__(
        self, broker: Broker, blobs: Blobs, projects: Iterable[str], rules: Rules, tell: Tell = not_told
    ) -> None:
        """Look at `projects` in the data bucket `blobs`."""
        self.blobs = blobs
        self.rules = rules
        self.streams = Streams.of(broker, blobs, projects, tell)
        self._tell = tell
        self._sights = {project: _Sight(Datasets(blobs, project, rules.grace)) for project in self.streams.books}

    def attach(self, broker: Broker, blobs: Blobs, tell: Tell = not_told) -> None:
        """Go on with other connections; what was read stays."""
        self.blobs = self.streams.blobs = blobs
        self.streams.broker = broker
        self._tell = self.streams.tell = tell
        for sight in self._sights.values():
            sight.datasets.blobs = blobs

    async def look(self) -> list[Surveyed]:
        """Return what would go of each project. Raises CommandFailed when that can't be known, Unavailable."""
        await self.streams.read_on()
        return [await self._project(project) for project in self.streams.books]

    async def roots(self, project: str) -> tuple[Roots, tuple[str, ...]]:
        """Return what must stay as of now, and what casts doubt on that. Raises CommandFailed, Unavailable."""
        await self.streams.read_on()
        return (await self._kept_roots(project))[1], await self._doubts(project)

    async def _project(self, project: str) -> Surveyed:
        sight = self._sights[project]
        archives = [info async for info in self.blobs.list(keys.archives(project))]
        sight.notes = await self._notes(project, [info.key for info in archives])
        sight.now = await self._clock(project)
        kept, roots = await self._kept_roots(project)
        sorting = Sorting(roots, self.rules.grace, self.streams.began_ms, await self._doubts(project))
        for info in archives:
            sorting.take(info)
        seen = len(archives)
        async for info in self.blobs.list(keys.images(project)):
            sorting.take(info)
            seen += 1
            if not seen % 1000:
                self._tell(f"objects of {project}", seen, max(seen, len(self.streams.books[project].images)))
        jobs, given_up = await self._jobs(project)
        notes = tuple(f"{none_of(stream)}; until then every stored dataset stays" for stream in self.streams.lacking)
        return Surveyed(sorting.plan(project), kept, jobs, given_up, notes)

    async def _kept_roots(self, project: str) -> tuple[Kept, Roots]:
        book, sight = self.streams.books[project], self._sights[project]
        needed = book.making.datasets(self.rules.keep_models)
        lacking = " and ".join(self.streams.lacking)
        kept = await sight.datasets.kept(needed, f"without {lacking} nobody can tell who needs it" if lacking else None)
        augmenting = await self._augmenting(project)
        return kept, Roots.of(book, kept.archives, sight.notes, self._recent_ms(sight), augmenting)

    async def _augmenting(self, project: str) -> str | None:
        """Return the recipe that the project's augmenter was started with last, if it said so."""
        key = keys.augmenting(project)
        try:
            return Augmenting.model_validate_json((await self.blobs.get(key)).data).recipe
        except BlobNotFound:
            return None
        except ValidationError:
            self.streams.books[project].doubt(f"the note {key} can't be read: the augmenter writes it when it starts")
            return None

    def _recent_ms(self, sight: _Sight) -> int:
        """Return since when a recipe that was used counts as in use."""
        if sight.now is None or not self.rules.grace:
            return _NEVER
        return int((sight.now - self.rules.grace).timestamp() * 1000)

    async def _doubts(self, project: str) -> tuple[str, ...]:
        book, lacking = self.streams.books[project], self.streams.lacking
        trained = [none_of(stream) for stream in lacking] if lacking and await self._was_trained(project) else []
        more = [f"{said}; {keys.jobs(project)} has files: it was there before" for said in trained]
        return (*book.doubts, *book.making.doubts(), *more)

    async def _was_trained(self, project: str) -> bool:
        """Say whether a job of the project left files: then its events must be somewhere."""
        async for _ in self.blobs.list(keys.jobs(project)):
            return True
        return False

    async def _clock(self, project: str) -> datetime | None:
        """Return the store's time, as it is told with any object of the project."""
        async for info in self.blobs.list(f"{project}/"):
            return info.store_time
        return None

    async def _notes(self, project: str, found: list[str]) -> dict[str, str | None]:
        """Read what took the place of archives whose rewriting no event tells yet."""
        known = self.streams.books[project].forwards
        rewritten = [key.removesuffix(NOTE) for key in found if key.endswith(NOTE)]
        hands = asyncio.Semaphore(_AT_ONCE)

        async def read(archive: str) -> str | None:
            async with hands:
                return await self._note(project, archive)

        unknown = [archive for archive in rewritten if archive not in known]
        return dict(zip(unknown, await asyncio.gather(*map(read, unknown)), strict=True))

    async def _note(self, project: str, archive: str) -> str | None:
        try:
            by = Rewritten.model_validate_json((await self.blobs.get(keys.forwarding(archive))).data).by
        except (BlobNotFound, ValidationError) as error:
            what = "can't be read" if isinstance(error, ValidationError) else "is gone again"
            self.streams.books[project].doubt(f"the note {keys.forwarding(archive)} {what}")
            return None
        return by.key if by else None

    async def _jobs(self, project: str) -> tuple[Tally, Tally]:
        """Measure what jobs left; only looked at: events, leases and running workers refer to it."""
        form = re.compile(rf"{re.escape(keys.jobs(project))}([^/]+)/attempts/(\d+)/.+")
        every, attempts = Tally(), dict[str, dict[int, list[BlobInfo]]]()
        async for info in self.blobs.list(keys.jobs(project)):
            every.add(info.size_bytes)
            found = form.fullmatch(info.key)
            if found is not None:
                attempts.setdefault(found[1], {}).setdefault(int(found[2]), []).append(info)
        given_up = Tally()
        for numbers in attempts.values():
            for number, infos in numbers.items():
                for info in infos if number < max(numbers) else ():
                    given_up.add(info.size_bytes)
        return every, given_up
