"""Removes what a plan names, after looking again whether it may still go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from labelstream import keys
from labelstream.blobs.ports import BlobInfo
from labelstream_cli.gc.plan import Candidate, Plan, Tally, is_young
from labelstream_cli.gc.roots import Roots, Why
from labelstream_cli.gc.survey import Survey
from labelstream_cli.reaching import Tell, not_told
from labelstream_cli.running import CommandFailed
from labelstream_datasets.archives.collected import Collected

CHUNK = 100  # objects that go between two looks at the streams
_AT_ONCE = 8


@dataclass
class Swept:
    """What became of a plan."""

    project: str
    removed: list[Candidate] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)  # keys of what was not there any more
    stayed: dict[str, str] = field(default_factory=dict)  # key → why it is not to go after all

    @property
    def total(self) -> Tally:
        """How much was removed."""
        return Tally(len(self.removed), sum(one.info.size_bytes for one in self.removed))


async def sweep(survey: Survey, plan: Plan, tell: Tell = not_told) -> Swept:
    """Remove what `plan` names and nothing refers to by now. Interrupted, it can be begun again.

    The streams and the kept datasets are read on before each chunk, and each object is looked at right before it
    goes. What is left is the moment between that look and the removal, milliseconds for each object: a message that
    brings a removed image is recorded without it when annotation-ingest writes the object again within that moment.
    The object has to be older than the grace time, without a reference until then; stores that remove on a condition
    are rare, and a lock on ingest would stop everybody for a rare case. The augmenter then says which image it lacks.
    Who finds an old archive stored and is about to name it must write it again too, or run while this does not.

    Raises CommandFailed as soon as there is a doubt about what must stay; Unavailable.
    """
    swept = Swept(plan.project)
    for done, chunk in _chunks(plan.candidates):
        tell(f"removing from {plan.project}", done, len(plan.candidates))
        roots, doubts = await survey.roots(plan.project)
        if doubts:
            removed = swept.total.objects
            raise CommandFailed(f"stopped after {removed} objects of the project {plan.project}: {'; '.join(doubts)}")
        hands = asyncio.Semaphore(_AT_ONCE)

        async def one(candidate: Candidate, roots: Roots = roots, hands: asyncio.Semaphore = hands) -> None:
            async with hands:
                await _remove(survey, roots, candidate, swept)

        await asyncio.gather(*map(one, chunk))
    tell(f"removing from {plan.project}", len(plan.candidates), len(plan.candidates))
    return swept


async def _remove(survey: Survey, roots: Roots, planned: Candidate, swept: Swept) -> None:
    key = planned.info.key
    why = roots.why_not(key)
    if why is None:
        swept.stayed[key] = "something refers to it by now"
        return
    info = await survey.blobs.head(key)
    if info is None:
        swept.gone.append(key)
    elif _second(info) > _second(planned.info) or is_young(info, survey.rules.grace):
        swept.stayed[key] = "it was written again"
    else:
        if why.kind == "archive":  # whoever misses it finds out where it went, even when we are killed here
            await survey.blobs.put(keys.collected(key), _note(info, why))
        await survey.blobs.delete(key)
        swept.removed.append(Candidate(info, why))


def _second(info: BlobInfo) -> datetime:
    """Return when it was written; a listing may say it more exactly than a look at the object."""
    return info.modified.replace(microsecond=0)


def _note(info: BlobInfo, why: Why) -> bytes:
    note = Collected(
        archive=info.key,
        recipe=why.recipe,
        reason=why.reason,
        collected_ms=int(info.store_time.timestamp() * 1000),
        size_bytes=info.size_bytes,
    )
    return note.model_dump_json().encode()


def _chunks(candidates: Sequence[Candidate]) -> Iterator[tuple[int, Sequence[Candidate]]]:
    for at in range(0, len(candidates), CHUNK):
        yield at, candidates[at : at + CHUNK]
