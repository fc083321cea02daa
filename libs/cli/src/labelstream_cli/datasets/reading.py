"""What the streams say of a project: its annotations at every offset, and where their variants lie.

The annotation view stays in a file, so that the next command reads only what is new.
"""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from labelstream import keys
from labelstream.batches import WholeBatches
from labelstream.errors import Unavailable
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.streams.ports import Start
from labelstream.view import AnnotationView
from labelstream.view.foreign import discard_if_foreign
from labelstream.view.snapshots import restore_snapshot
from labelstream_cli.datasets.place import Place
from labelstream_cli.reaching import event_in, last_offset, stored
from labelstream_cli.running import ERRORS, CommandFailed
from labelstream_datasets.building.index import BatchIndex

_WITHIN_S = 30.0  # a store that does not say what it has
_TURN_S = 0.1


@dataclass(frozen=True)
class Streams:
    """What was read: everything up to the streams' ends."""

    project: str
    view: AnnotationView
    index: BatchIndex
    end: int  # the last offset of annotation-events


async def require_project(place: Place) -> None:
    """Raise CommandFailed when the store does not know the project, Unavailable when it does not answer."""
    try:
        async with asyncio.timeout(_WITHIN_S):
            known = await place.blobs.head(keys.class_schema(place.project))
    except TimeoutError as error:
        raise Unavailable("object store", f"it did not answer within {_WITHIN_S:.0f} s") from error
    if known is None:
        raise CommandFailed(
            f"nothing is known of the project {place.project}: annotation-ingest records its classes when it starts "
            f"with it, and `labelstream push FOLDER` publishes annotations"
        )


@asynccontextmanager
async def streams(place: Place) -> AsyncIterator[Streams]:
    """Read the annotations and the batches of a project, up to where the streams end now.

    Raises CommandFailed when there is nothing to read, Unavailable.
    """
    await require_project(place)
    end = await last_offset(place.broker, ANNOTATION_EVENTS)
    if end is None:
        raise CommandFailed("nothing is annotated yet: `labelstream push FOLDER` publishes annotations")
    async with _alone(place.cache):
        view = await _opened(place)
        try:
            start: Start = "first" if view.position is None else view.position + 1
            await _fold(place, ANNOTATION_EVENTS, start, end, view.apply)
            view.commit()
            index = BatchIndex()
            whole = WholeBatches(index.fold, place.blobs, place.health)
            await _fold(place, BATCH_EVENTS, "first", None, whole)
            await whole.fetch()
            _tell_degraded(place)
            yield Streams(place.project, view, index, end)
        finally:
            view.close()


async def _opened(place: Place) -> AnnotationView:
    """Open the kept view, or the newest copy in the store, as far as it belongs to this stream."""
    file = place.cache / "annotations.sqlite"
    await restore_snapshot(file, place.blobs, place.health)
    view = AnnotationView(file)
    try:
        await discard_if_foreign(view, place.broker, ANNOTATION_EVENTS, place.health)
    except BaseException:
        view.abandon()
        raise
    return view


async def _fold(
    place: Place, stream: str, start: Start, end: int | None, fold: Callable[[int, Envelope], None]
) -> None:
    async for deliveries in stored(place.broker, stream, start, tell=place.tell, end=end):
        for delivery in deliveries:
            envelope = event_in(delivery)
            if envelope is not None:
                fold(delivery.offset, envelope)


@asynccontextmanager
async def _alone(cache: Path) -> AsyncIterator[None]:
    """Hold off other commands that use the same view: they wait for their turn, and say so."""
    with await asyncio.to_thread(_lock_file, cache) as lock:
        told = False
        while not _locked(lock):
            if not told:
                ERRORS.print("Waiting for another command that reads the annotations.", style="dim")
            told = True
            await asyncio.sleep(_TURN_S)
        yield


def _locked(lock: BinaryIO) -> bool:
    """Take the lock if it is free: a thread that waits for it could not be interrupted."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_file(cache: Path) -> BinaryIO:
    try:
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        return (cache / "lock").open("ab")
    except OSError as error:
        raise CommandFailed(f"{cache} can't be used for what is read: {error.strerror}") from error


def _tell_degraded(place: Place) -> None:
    for what, reason in place.health.report()["degraded"].items():
        ERRORS.print(f"{what}: {reason}", markup=False, style="yellow", soft_wrap=True)
