"""Which formats of a training are still to come, who can build them, and why one waits.

Export workers announce what they can build in the data bucket; the decider leaves a note there of the formats that
it is told to export. The rest is what `model-events` says.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import timedelta

from pydantic import Field, ValidationError

from labelstream import keys
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.formats import Format
from labelstream.models import ModelBook
from labelstream.values import Value

LONGEST_VALID_S = 3600.0  # of an announcement; what a worker left that is gone is not read for ever


class Capability(Value):
    """A kind of format that a worker can build."""

    family: str
    target: str | None = Field(None, description="the hardware, for families whose files are made for one")
    queue: str = Field(description="where the jobs for it wait")
    versions: dict[str, str] = Field(default_factory=dict, description="of the libraries that build it")


class Announcement(Value):
    """What an export worker can build. It holds for `valid_s` after it was written, by the store's clock."""

    worker: str
    capabilities: tuple[Capability, ...]
    until_ms: int = Field(description="by the worker's clock, for people")
    valid_s: float = Field(gt=0)


class ExportingNote(Value):
    """What the decider is told to export, and how long a format may wait for a worker."""

    formats: tuple[str, ...]
    wait_h: float


class WaitingFormat(Value):
    """A format of a training that is still to come."""

    format: str
    queue: str
    since_ms: int
    workers: tuple[str, ...] = Field(description="who can build it; empty: it waits for somebody who can")
    why: str


async def announce(blobs: Blobs, worker: str, capabilities: Iterable[Capability], valid_s: float) -> None:
    """Say what a worker can build, for the next `valid_s` seconds. Raises Unavailable."""
    said = Announcement(
        worker=worker,
        capabilities=tuple(capabilities),
        until_ms=int((time.time() + valid_s) * 1000),
        valid_s=valid_s,
    )
    await blobs.put(keys.exporter_worker(worker), said.model_dump_json().encode())


async def announcements(blobs: Blobs) -> tuple[Announcement, ...]:
    """Return what is announced and holds now, by the workers' names. Raises Unavailable.

    What can't be read is no announcement: it counts for nothing, and lapses like the others.
    """
    found: list[Announcement] = []
    async for info in blobs.list(keys.exporter_worker("").removesuffix(".json")):
        age = info.store_time - info.modified
        if age > timedelta(seconds=LONGEST_VALID_S):
            continue
        try:
            said = Announcement.model_validate_json((await blobs.get(info.key)).data)
        except (BlobNotFound, ValidationError):
            continue
        if age < timedelta(seconds=said.valid_s):
            found.append(said)
    return tuple(sorted(found, key=lambda said: said.worker))


async def leave_note(blobs: Blobs, note: ExportingNote) -> None:
    """Say what the decider is told to export. Raises Unavailable."""
    await blobs.put(keys.exporting(), note.model_dump_json().encode())


async def read_note(blobs: Blobs) -> ExportingNote | None:
    """Return what the decider is told to export; None before it said so. Raises Unavailable."""
    try:
        return ExportingNote.model_validate_json((await blobs.get(keys.exporting())).data)
    except (BlobNotFound, ValidationError):
        return None


def open_formats(book: ModelBook, job: str, configured: Sequence[str]) -> tuple[str, ...]:
    """Return the formats of a finished training that are still to come.

    While it has no answer, these are the configured ones; afterwards those that its newest model says to wait for.
    Nothing is added to weights that were withdrawn.
    """
    if book.has_no_model(job):
        return ()
    editions = book.editions(job)
    if any(state.withdrawn for state in editions):
        return ()
    wanted = editions[-1].exported.waiting if editions else tuple(configured)
    refused = book.refused_formats(job)
    return tuple(name for name in wanted if name not in refused)


def waiting_formats(
    book: ModelBook,
    job: str,
    finished_ms: int,
    configured: Sequence[str],
    announced: Sequence[Announcement],
) -> tuple[WaitingFormat, ...]:
    """Return the formats of a training (finished at `finished_ms`) that are still to come, and why."""
    return tuple(waiting_format(name, finished_ms, announced) for name in open_formats(book, job, configured))


def who_builds(queue: str, announced: Iterable[Announcement]) -> tuple[str, ...]:
    """Return the workers that take the jobs of a queue."""
    return tuple(said.worker for said in announced if any(one.queue == queue for one in said.capabilities))


def why_nobody(queue: str, announced: Iterable[Announcement]) -> str:
    """Say that nobody takes the jobs of a queue, and who takes which others."""
    there = "; ".join(
        f"{said.worker} takes {', '.join(one.queue for one in said.capabilities) or 'nothing'}" for said in announced
    )
    return f"no worker takes {queue}: " + (there or "no export worker is there")


def waiting_format(name: str, since_ms: int, announced: Sequence[Announcement]) -> WaitingFormat:
    """Say of a format that is still to come who can build it, and why it is not there."""
    queue = Format.parse(name).queue
    workers = who_builds(queue, announced)
    why = f"in the hands or the line of {', '.join(workers)}" if workers else why_nobody(queue, announced)
    return WaitingFormat(format=name, queue=queue, since_ms=since_ms, workers=workers, why=why)
