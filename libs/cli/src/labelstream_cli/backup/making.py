"""Makes a backup.

In this order, so that every object that an event of the backup names is in it, too:

1. Objects and streams are copied as they come: this is nearly all, and may take hours.
2. The ends of the streams are noted; of what answers before what is answered (see `streams`).
3. Objects are listed again, and those that are new are copied: an object is stored before an event names it.
4. The streams are read on up to those ends, and the snapshot is written.

Nothing stops meanwhile. What the store then has more than the streams is what any crash leaves: objects that no event
names yet. What was removed between 2 and 3, by an erasure or by gc, is not in the backup.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass, field
from importlib.metadata import version

from labelstream.blobs.ports import Blobs
from labelstream_cli.backup import book, secrets
from labelstream_cli.backup.book import MARK, SNAPSHOTS, File, Place, Snapshot
from labelstream_cli.backup.copying import Copied, Copier
from labelstream_cli.backup.objects import read_list, write_list
from labelstream_cli.backup.place import StackPlace
from labelstream_cli.backup.pruning import Pruned, prune, superseded
from labelstream_cli.backup.streams import Streams, Wanted
from labelstream_cli.reaching import Tell, not_told


@dataclass(frozen=True)
class Order:
    """What a person wants of a backup."""

    where: str
    wanted: Wanted = field(default_factory=Wanted)
    without: tuple[str, ...] = ()
    secrets_for: str | None = None  # an age public key
    keep: int | None = None  # snapshots, this one among them; None: all


@dataclass(frozen=True)
class Made:
    """A backup, and what it added to the ones before."""

    snapshot: Snapshot
    is_first: bool
    segments: int
    messages: int
    stream_bytes: int  # of the new files
    copied: Copied
    gone: tuple[str, ...]  # streams that are no more; what was backed up of them stays
    pruned: Pruned


@dataclass(frozen=True)
class Plan:
    """What a backup would add."""

    streams: dict[str, tuple[int, int]]  # stream → first offset that is new, and the last one there is
    objects: int
    object_bytes: int
    superseded: tuple[str, ...] = ()  # snapshots that would be removed


async def plan(order: Order, stack: StackPlace, files: Blobs, tell: Tell = not_told) -> Plan:
    """Say what a backup would add, and write nothing. Raises CommandFailed, Unavailable."""
    before = await _before(order, files)
    streams = Streams(files, stack.broker, before, stack.inputs, order.wanted, tell, dry=True)
    await streams.look()
    copier = Copier(stack.buckets, files, order.without, tell)
    await copier.recall(await read_list(files, before.objects) if before else ())
    new = await copier.changed()
    old = () if order.keep is None else superseded([*await book.names(files), "this one"], order.keep)
    return Plan(streams.ends(), len(new), sum(info.size_bytes for _, info in new), old)


async def make(order: Order, stack: StackPlace, files: Blobs, tell: Tell = not_told) -> Made:
    """Back the stack up; interrupted, it goes on when it is called again. Raises CommandFailed, Unavailable."""
    place = await book.place_at(files, order.where) or await _founded(files)
    before = await book.newest(files)
    streams = Streams(files, stack.broker, before, stack.inputs, order.wanted, tell)
    copier = Copier(stack.buckets, files, order.without, tell)
    await copier.recall(await read_list(files, before.objects) if before else ())
    sealed = await _seal(order, stack, files, before)

    await copier.run()
    await streams.read()
    taken_ms = _after(before)
    await streams.note_ends()
    entries = await copier.run()
    found = await streams.finish()
    snapshot = Snapshot(
        name=book.name_of(taken_ms),
        backup=place.id,
        taken_ms=taken_ms,
        labelstream=version("labelstream-cli"),
        projects=stack.projects or (before.projects if before else ()),
        streams=tuple(found),
        objects=await write_list(files, entries),
        without=order.without,
        secrets=sealed.file,
        secrets_for=sealed.recipient,
        secrets_from=sealed.by,
        signer=await asyncio.to_thread(secrets.signer_of, stack.secrets),
        settings=stack.settings,
    )
    await files.put(f"{SNAPSHOTS}{snapshot.name}.json", snapshot.model_dump_json(indent=1).encode())
    await copier.forget()
    pruned = Pruned() if order.keep is None else await prune(files, order.keep, tell)
    new = streams.written()
    return Made(
        snapshot=snapshot,
        is_first=before is None,
        segments=len(new),
        messages=sum(one.messages for one in new),
        stream_bytes=sum(one.size_bytes for one in new),
        copied=copier.copied,
        gone=tuple(streams.gone),
        pruned=pruned,
    )


async def _before(order: Order, files: Blobs) -> Snapshot | None:
    await book.place_at(files, order.where)
    return await book.newest(files)


@dataclass(frozen=True)
class _Sealed:
    """The secrets of a snapshot."""

    file: File | None = None
    recipient: str | None = None
    by: str | None = None  # the earlier snapshot that sealed them


async def _seal(order: Order, stack: StackPlace, files: Blobs, before: Snapshot | None) -> _Sealed:
    """Seal the secrets, if that was asked for; else those stay that an earlier snapshot holds."""
    if order.secrets_for:
        return _Sealed(await secrets.write(files, stack.secrets, order.secrets_for), order.secrets_for)
    if before is None or before.secrets is None:
        return _Sealed()
    return _Sealed(before.secrets, before.secrets_for, before.secrets_from or before.name)


def _after(before: Snapshot | None) -> int:
    """Return the time; a clock that was put back gives no name that sorts before the last snapshot's."""
    now_ms = int(time.time() * 1000)
    return now_ms if before is None else max(now_ms, before.taken_ms + 1)


async def _founded(files: Blobs) -> Place:
    """Make an empty place one for backups."""
    place = Place(id=uuid.uuid4().hex, created_ms=int(time.time() * 1000))
    await files.put(MARK, place.model_dump_json(indent=1).encode())
    return place
