"""Which objects of the store a backup holds, and the list of them."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from labelstream.blobs.ports import BlobInfo, BlobNotFound, Blobs
from labelstream.values import sha256_hex
from labelstream_cli.backup.book import Bucket, Entry, Objects
from labelstream_cli.backup.segments import Damaged

PROBES: Final = "probes/"
MARKER: Final = "restoring.json"  # stands in the data bucket while a stack is being restored
# What nobody misses: copies of views, which the streams make again; what a store was tried with; and which export
# workers run, who say it again while they do.
_NEVER: Final[Mapping[Bucket, re.Pattern[str]]] = {"data": re.compile(rf"views/|{PROBES}|exporters/|{MARKER}$")}


@dataclass(frozen=True)
class Part:
    """Objects that may be left out."""

    bucket: Bucket
    form: re.Pattern[str]
    loses: str

    def holds(self, bucket: Bucket, key: str) -> bool:
        """Say whether an object belongs to it."""
        return bucket == self.bucket and self.form.match(key) is not None


PARTS: Final[Mapping[str, Part]] = {
    "archives": Part(
        "data",
        re.compile(r"[^/]+/archives/[^/]+\.tar$"),
        "the augmenter refuses to start until its recipe gets another name; then it makes all images anew, datasets "
        "get other ids, and those of before can be trained on no more",
    ),
    "checkpoints": Part(
        "data",
        re.compile(r"[^/]+/jobs/[^/]+/attempts/\d+/checkpoint-[^/]+\.pt$"),
        "a training that was under way begins again at its first epoch",
    ),
    "uploads": Part("uploads", re.compile(""), "what people uploaded through the public API"),
    "incoming": Part(
        "incoming",
        re.compile(""),
        "images that messages refer to and that were not recorded yet: such messages are rejected; images that are "
        "still to be annotated by a model",
    ),
}


def is_kept(bucket: Bucket, key: str, without: Iterable[str]) -> bool:
    """Say whether a backup holds the object."""
    never = _NEVER.get(bucket)
    if never is not None and never.match(key):
        return False
    return not any(PARTS[part].holds(bucket, key) for part in without)


async def listed(
    buckets: Mapping[Bucket, Blobs], without: Iterable[str] = ()
) -> AsyncIterator[tuple[Bucket, BlobInfo]]:
    """Yield what is in the store and belongs into a backup."""
    for role, bucket in buckets.items():
        async for info in bucket.list(""):
            if is_kept(role, info.key, without):
                yield role, info


def to_lines(entries: Iterable[Entry]) -> bytes:
    """Return the list of objects as a file: gzip, and in it a JSON object a line."""
    lines = (json.dumps(entry._asdict(), separators=(",", ":"), ensure_ascii=False) for entry in sorted(entries))
    return gzip.compress("".join(f"{line}\n" for line in lines).encode(), compresslevel=6, mtime=0)


def from_lines(data: bytes, what: str) -> Iterator[Entry]:
    """Read such a file. Raises Damaged."""
    try:
        for line in gzip.decompress(data).decode().splitlines():
            yield Entry(**json.loads(line))
    except (OSError, EOFError, zlib.error, ValueError, TypeError) as error:
        raise Damaged(f"{what} can't be read: {error}") from error


async def write_list(files: Blobs, entries: Iterable[Entry]) -> Objects:
    """Write the list of a snapshot's objects; the same objects make the same file."""
    found = list(entries)
    data = to_lines(found)
    digest = sha256_hex(data)
    file = f"lists/{digest}.jsonl.gz"
    await files.put(file, data)
    total = sum(entry.size_bytes for entry in found)
    return Objects(file=file, sha256=digest, size_bytes=len(data), count=len(found), total_bytes=total)


async def read_list(files: Blobs, objects: Objects) -> list[Entry]:
    """Return a snapshot's objects. Raises Damaged."""
    try:
        data = (await files.get(objects.file)).data
    except BlobNotFound:
        raise Damaged(f"{objects.file} is missing") from None
    if sha256_hex(data) != objects.sha256:
        raise Damaged(f"{objects.file} is damaged: its SHA-256 is not {objects.sha256}")
    return list(from_lines(data, objects.file))
