"""Restores a stack from a backup.

Streams come first, in the order of `streams.OWN`, each with the publishing ids of its writers: a service that runs
already finds its answers, and its ids taken, before it finds a question. Objects come last, so that they are younger
than the events that name them, as `labelstream gc` expects. A marker in the store says what is being restored:
interrupted, the same command goes on.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.values import canonical_json, sha256_file, sha256_hex
from labelstream_cli.backup import book, checking
from labelstream_cli.backup.book import Bucket, Entry, Snapshot, StreamBackup, content
from labelstream_cli.backup.copying import SMALL
from labelstream_cli.backup.objects import MARKER, PROBES, read_list
from labelstream_cli.backup.place import StackPlace
from labelstream_cli.backup.replaying import Replay, holds
from labelstream_cli.backup.segments import Damaged
from labelstream_cli.backup.streams import OWN, Wanted
from labelstream_cli.reaching import Tell, not_told
from labelstream_cli.running import CommandFailed

Only = Literal["streams", "objects"]
_AT_ONCE = 8
_CHUNK = 500
_SHOWN = 3


@dataclass(frozen=True)
class Order:
    """What a person wants restored."""

    where: str  # the place of the backup
    snapshot: Snapshot
    only: Only | None = None
    wanted: Wanted = field(default_factory=Wanted)
    unchecked: bool = False  # don't read everything before the first byte is written
    newest: bool = False  # whichever is the newest was asked for, and not this one by its name
    more: tuple[str, ...] = ()  # arguments that say which stack

    @property
    def streams(self) -> tuple[StreamBackup, ...]:
        """The streams, in the order in which they come back, with the limits that were asked for."""
        if self.only == "objects":
            return ()
        ranks = {stream: rank for rank, stream in enumerate(OWN)}
        told = self.wanted.limits
        found = [
            one.model_copy(update={"limits": told[one.stream]}) if one.stream in told else one
            for one in self.snapshot.streams
        ]
        return tuple(sorted(found, key=lambda one: (ranks.get(one.stream, len(OWN)), one.stream)))

    @property
    def with_objects(self) -> bool:
        """Whether objects come back, too."""
        return self.only != "streams"

    @property
    def command(self) -> str:
        """What a person types to have this snapshot restored, whichever is the newest by then."""
        only = () if self.only is None else ("--only", self.only)
        return shlex.join(("labelstream", "restore", self.where, "--snapshot", self.snapshot.name, *only, *self.more))


@dataclass(frozen=True)
class Restored:
    """What was restored."""

    snapshot: Snapshot
    messages: int
    objects: int
    object_bytes: int
    went_on: bool  # with what an interrupted one had begun
    took_s: float


async def restore(
    order: Order,
    stack: StackPlace,
    files: Blobs,
    tell: Tell = not_told,
    note: Callable[[str], None] = lambda _: None,
) -> Restored:
    """Restore a snapshot into a stack that is empty; `note` hears by which command it goes on, and "" when it is whole.

    One that was interrupted goes on, with the snapshot that it began with. Raises CommandFailed, Damaged, Unavailable.
    """
    began = time.monotonic()
    interrupted = await _interrupted(order, stack, files)
    went_on, order = interrupted is not None, interrupted or order
    _refuse_unknown_limits(order.streams)
    entries = await read_list(files, order.snapshot.objects) if order.with_objects else []
    if not went_on:
        await refuse_what_is_there(order, stack)
        if not order.unchecked:
            streams, objects = bool(order.streams), order.with_objects
            found = await checking.check(files, order.snapshot, tell, streams=streams, objects=objects)
            checking.refuse_damaged(found)
        note(order.command)
        await stack.buckets["data"].put(MARKER, _mark(order))
    for one in order.streams:
        await Replay(files, stack.broker, stack.writer(one.stream), one, tell).run()
    put = await _put_all(entries, stack, files, tell)
    note("")  # before the marker goes: without it, the command would find a stack that is not empty
    await stack.buckets["data"].delete(MARKER)
    messages = sum(one.messages for one in order.streams)
    return Restored(order.snapshot, messages, len(entries), put, went_on, time.monotonic() - began)


async def refuse_what_is_there(order: Order, stack: StackPlace) -> None:
    """Raise CommandFailed, which names what there is, when the stack is not empty."""
    names = () if order.only == "objects" else dict.fromkeys((*OWN, *(one.stream for one in order.streams)))
    taken = {stream: await holds(stack.broker, stream) for stream in names}
    found = [f"the stream {stream} goes up to offset {count - 1}" for stream, count in taken.items() if count]
    if order.with_objects:
        for role, bucket in stack.buckets.items():
            shown = await _first_keys(bucket)
            if shown:
                name = stack.bucket_names.get(role, role)
                found.append(f"the bucket {name} holds {', '.join(shown[:_SHOWN])}{' …' if shown[_SHOWN:] else ''}")
    if found:
        told = "\n  ".join(found)
        raise CommandFailed(
            f"a backup is restored into an empty stack, and this one is not empty:\n  {told}\n"
            "Start broker and store anew, without services, or remove what is there."
        )


async def _first_keys(bucket: Blobs) -> list[str]:
    found: list[str] = []
    async for info in bucket.list(""):
        if not info.key.startswith(PROBES):
            found.append(info.key)
        if len(found) > _SHOWN:
            break
    return found


def _refuse_unknown_limits(streams: Sequence[StreamBackup]) -> None:
    unknown = [one.stream for one in streams if not one.limits.known]
    if unknown:
        raise CommandFailed(
            f"the broker kept only a part of {', '.join(unknown)}, and the backup does not know how much: say it, such "
            f"as --retention {unknown[0]}=20GB,30d, or --retention {unknown[0]}=none to keep everything"
        )


def _mark(order: Order) -> bytes:
    return canonical_json({"backup": order.snapshot.backup, "snapshot": order.snapshot.name, "only": order.only or ""})


async def _interrupted(order: Order, stack: StackPlace, files: Blobs) -> Order | None:
    """Return the restore that was begun here and not finished, if `order` asks for that one; None when none was.

    Raises CommandFailed when it asks for another.
    """
    try:
        mark: dict[str, Any] = json.loads((await stack.buckets["data"].get(MARKER)).data)
    except BlobNotFound:
        return None
    anew = "start broker and store anew, without services"
    if mark["backup"] != order.snapshot.backup:
        raise CommandFailed(
            f"a restore from another place (its {book.MARK} says {mark['backup']}) was begun here and not finished: "
            f"repeat that one, or {anew}"
        )
    if mark["snapshot"] not in await book.names(files):
        raise CommandFailed(
            f"a restore of {mark['snapshot']} was begun here and not finished, and {order.where} has that snapshot no "
            f"more (`--keep` removes old ones): to restore another one, {anew}"
        )
    begun = replace(order, snapshot=await book.read(files, mark["snapshot"]), only=mark["only"] or None)
    if begun.only != order.only or (begun.snapshot.name != order.snapshot.name and not order.newest):
        raise CommandFailed(
            f"another restore was begun here and not finished: `{begun.command}` goes on with it. "
            f"To restore this one instead, {anew}"
        )
    return begun


async def _put_all(entries: Sequence[Entry], stack: StackPlace, files: Blobs, tell: Tell) -> int:
    """Put the objects into their buckets, unless they are there; return how many bytes were put."""
    there: dict[tuple[Bucket, str], int] = {}
    for role in dict.fromkeys(entry.bucket for entry in entries):
        async for info in stack.buckets[role].list(""):
            there[role, info.key] = info.size_bytes
    missing = [entry for entry in entries if there.get((entry.bucket, entry.key)) != entry.size_bytes]
    total, done = sum(entry.size_bytes for entry in missing), 0
    hands = asyncio.Semaphore(_AT_ONCE)

    async def one(entry: Entry) -> None:
        async with hands:
            await _put(entry, stack.buckets[entry.bucket], files)

    for at in range(0, len(missing), _CHUNK):
        chunk = missing[at : at + _CHUNK]
        await asyncio.gather(*map(one, chunk))
        done += sum(entry.size_bytes for entry in chunk)
        tell("objects", done, max(total, 1))
    return total


async def _put(entry: Entry, bucket: Blobs, files: Blobs) -> None:
    file = content(entry.sha256)
    try:
        if entry.size_bytes <= SMALL:
            data = (await files.get(file)).data
            _refuse_other(entry, sha256_hex(data))
            await bucket.put(entry.key, data)
            return
        with tempfile.TemporaryDirectory(prefix="labelstream-restore-") as folder:
            path = Path(folder) / "object"
            await files.download(file, path)
            _refuse_other(entry, await asyncio.to_thread(sha256_file, path))
            await bucket.upload(path, entry.key)
    except BlobNotFound:
        raise Damaged(f"{file}, the content of {entry.key}, is missing") from None


def _refuse_other(entry: Entry, digest: str) -> None:
    if digest != entry.sha256:
        raise Damaged(f"{content(entry.sha256)}, the content of {entry.key}, is damaged: its SHA-256 is {digest}")
