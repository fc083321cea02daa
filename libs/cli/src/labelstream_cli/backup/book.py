"""What a backup holds, as it says itself.

    backup.json                          what this place is, and which version of this page it follows
    snapshots/<time>.json                one backup: how far each stream goes, and where the list of objects is
    streams/<stream>/<first>-<last>-<digest>.gz   messages, see `segments`; a later snapshot names the same files
    objects/<first two digits>/<sha256>  the bytes of an object, whatever its key was; stored once

Nothing in a backup is ever changed; `pruning` removes old snapshots, and what only they name. What no snapshot names is
of a backup that was interrupted, or under way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

from pydantic import Field, ValidationError

from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.streams.ports import Retention
from labelstream.values import Sha256, Value
from labelstream_cli.backup.settings import StackSettings
from labelstream_cli.running import CommandFailed

FORMAT: Final = "labelstream-backup"
VERSION: Final = 1
MARK: Final = "backup.json"
SNAPSHOTS: Final = "snapshots/"

Bucket = Literal["data", "models", "resources", "uploads", "incoming"]
BUCKETS: tuple[Bucket, ...] = ("data", "models", "resources", "uploads", "incoming")


class File(Value):
    """A file of the backup."""

    file: str
    sha256: Sha256
    size_bytes: int


class Segment(File):
    """A file of messages."""

    first: int
    last: int
    messages: int
    raw_bytes: int  # of the messages alone


class Limits(Value):
    """How much of a stream its broker keeps; `known` is False where it keeps less than all and did not say how much."""

    max_bytes: int | None = None
    max_age_s: int | None = None
    known: bool = True

    @property
    def retention(self) -> Retention:
        """As the broker is told."""
        return Retention(self.max_bytes, self.max_age_s)


class Torn(Value):
    """Offsets whose messages retention removed before they could be backed up."""

    first: int
    last: int


class StreamBackup(Value):
    """One stream."""

    stream: str
    segments: tuple[Segment, ...] = ()
    end: int = -1  # offset of the last message; -1: it was empty
    tail_sha256: Sha256 | None = None  # of the last message
    publishers: dict[str, int] = Field(default_factory=dict)  # name → its last publishing id
    signed: tuple[str, ...] = ()  # those of them whose messages say the id themselves
    limits: Limits = Limits()
    torn: tuple[Torn, ...] = ()

    @property
    def messages(self) -> int:
        """How many there are."""
        return sum(segment.messages for segment in self.segments)

    @property
    def raw_bytes(self) -> int:
        """How much they are, unpacked."""
        return sum(segment.raw_bytes for segment in self.segments)

    @property
    def first(self) -> int | None:
        """Offset of the first message."""
        return self.segments[0].first if self.segments else None


class Objects(File):
    """The list of the objects."""

    count: int
    total_bytes: int


class Snapshot(Value):
    """One backup."""

    format: str = FORMAT
    version: int = VERSION
    name: str
    backup: str  # the id of the place, as in backup.json
    taken_ms: int
    labelstream: str  # the version that wrote it
    projects: tuple[str, ...]
    streams: tuple[StreamBackup, ...]
    objects: Objects
    without: tuple[str, ...] = ()
    secrets: File | None = None
    secrets_for: str | None = None  # the public key that they are sealed to
    secrets_from: str | None = None  # the earlier snapshot that sealed them; None: this one did
    signer: Sha256 | None = None  # of the public half of the stack's signing key, where its secrets could be read
    settings: StackSettings | None = None  # of an embedded stack

    def stream(self, name: str) -> StreamBackup | None:
        """Return a stream by its name."""
        return next((one for one in self.streams if one.stream == name), None)

    def files(self) -> Iterator[File]:
        """Yield every file that is named here itself; the list of objects names the others."""
        for stream in self.streams:
            yield from stream.segments
        yield self.objects
        if self.secrets is not None:
            yield self.secrets


class Entry(NamedTuple):
    """An object that was in the store; there may be millions."""

    bucket: Bucket
    key: str
    size_bytes: int
    sha256: str
    etag: str
    modified_ms: int


class Place(Value):
    """What backup.json says."""

    format: str = FORMAT
    version: int = VERSION
    id: str
    created_ms: int


def content(sha256: str) -> str:
    """Return the file that holds these bytes."""
    return f"objects/{sha256[:2]}/{sha256}"


def name_of(moment_ms: int) -> str:
    """Return the name of a snapshot that is taken at a moment; names sort as the moments do."""
    return f"{datetime.fromtimestamp(moment_ms / 1000, UTC):%Y-%m-%dT%H-%M-%S}.{moment_ms % 1000:03d}Z"


async def place_at(files: Blobs, where: str) -> Place | None:
    """Return what this place says that it is; None when it is empty. Raises CommandFailed for anything else."""
    try:
        told = (await files.get(MARK)).data
    except BlobNotFound:
        async for info in files.list(""):
            raise CommandFailed(
                f"{where} holds files, such as {info.key}, but no backup: name the place of one, or for a new one an "
                "empty place"
            ) from None
        return None
    return Place.model_validate(_checked(told, f"{where}/{MARK}"))


async def names(files: Blobs) -> list[str]:
    """Return the names of the snapshots, the oldest first."""
    suffix = ".json"
    found = [info.key async for info in files.list(SNAPSHOTS)]
    return sorted(key.removeprefix(SNAPSHOTS).removesuffix(suffix) for key in found if key.endswith(suffix))


async def read(files: Blobs, name: str) -> Snapshot:
    """Return a snapshot by its name. Raises CommandFailed."""
    try:
        told = (await files.get(f"{SNAPSHOTS}{name}.json")).data
    except BlobNotFound:
        there = ", ".join((await names(files))[-5:]) or "none"
        raise CommandFailed(f"there is no snapshot {name}; the newest are: {there}") from None
    try:
        return Snapshot.model_validate(_checked(told, f"the snapshot {name}"))
    except ValidationError as error:
        raise CommandFailed(
            f"the snapshot {name} is damaged: {error.error_count()} fields are missing or wrong"
        ) from error


async def newest(files: Blobs) -> Snapshot | None:
    """Return the last backup; None when there is none yet. Raises CommandFailed."""
    found = await names(files)
    return await read(files, found[-1]) if found else None


async def chosen(files: Blobs, where: str, name: str | None) -> Snapshot:
    """Return the snapshot of this name, or the newest. Raises CommandFailed when there is none."""
    if await place_at(files, where) is None:
        raise CommandFailed(f"{where} holds no backup")
    found = await newest(files) if name is None else await read(files, name)
    if found is None:
        raise CommandFailed(f"no backup to {where} was ever finished: repeat `labelstream backup`")
    return found


def _checked(told: bytes, what: str) -> dict[str, Any]:
    """Return the JSON object that says which version it is of, when we can read that version. Raises CommandFailed."""
    try:
        said = json.loads(told)
    except ValueError as error:
        raise CommandFailed(f"{what} is damaged: it is no JSON ({error})") from error
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        raise CommandFailed(f"{what} does not describe a backup of labelstream")
    version = said.get("version")
    if version != VERSION:
        raise CommandFailed(
            f"{what} is of version {version!r} of the backup format, and this command knows version {VERSION}: "
            "use the release of labelstream that wrote it, or a later one"
        )
    return said
