"""Where the images of a job lie: in a folder, which is brought into the store, or in the store already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from labelstream.annotating import ImageList, StoredImage, stream_of
from labelstream.blobs.ports import Blobs
from labelstream.blobs.s3 import S3Blobs
from labelstream.errors import Misconfigured
from labelstream.producer import ByReference
from labelstream.service.health import Health
from labelstream.service.settings import StoreSettings
from labelstream_cli.importers import Problem
from labelstream_cli.importers.collecting import MEDIA, read_media
from labelstream_cli.importers.files import SUFFIXES, images_below, name_of

SCHEME = "s3://"
_AT_ONCE = 8  # uploads

Told = Callable[[int, int], None]  # how many, of how many


@dataclass(frozen=True)
class Found:
    """An image file of a folder."""

    path: Path
    name: str  # its path below the folder
    medium: str | None


@dataclass(frozen=True)
class Prefix:
    """Objects of a bucket that our services may read."""

    bucket: Literal["incoming", "data"]
    prefix: str


def in_folder(folder: Path) -> list[Found]:
    """Return the images of a folder, or a single one; `media.csv` in it says which medium each came from.

    Raises Misconfigured when there are none.
    """
    if folder.is_file() and folder.suffix.lower() in SUFFIXES:
        return [Found(folder, folder.name, None)]
    if not folder.is_dir():
        raise Misconfigured(f"{folder} is no folder and no image: give one, or a prefix such as s3://BUCKET/PREFIX")
    media = read_media(folder / MEDIA)
    found = []
    for path in images_below(folder):
        name = name_of(path, folder)
        found.append(Found(path, str(path.relative_to(folder)), media.get(name) or media.get(path.name)))
    if not found:
        raise Misconfigured(f"there is no image in {folder}: {', '.join(sorted(SUFFIXES))} are looked for")
    return found


def prefix_of(told: str, store: StoreSettings) -> Prefix:
    """Read `s3://BUCKET/PREFIX`. Raises Misconfigured for a bucket that the worker can't read."""
    bucket, _, prefix = told.removeprefix(SCHEME).partition("/")
    if bucket == store.incoming_bucket:
        return Prefix("incoming", prefix)
    if bucket == store.data_bucket:
        return Prefix("data", prefix)
    raise Misconfigured(
        f"the worker reads the buckets {store.incoming_bucket} and {store.data_bucket}, and not {bucket!r}"
    )


async def listed(blobs: Blobs, where: Prefix) -> ImageList:
    """Return the images below a prefix. Raises Misconfigured when there are none, Unavailable."""
    images = [
        StoredImage(bucket=where.bucket, key=info.key, file=info.key)
        async for info in blobs.list(where.prefix)
        if Path(info.key).suffix.lower() in SUFFIXES
    ]
    if not images:
        raise Misconfigured(f"no key in the {where.bucket} bucket begins with {where.prefix!r} and is an image's")
    return ImageList(images=tuple(sorted(images, key=lambda one: one.key)))


async def upload(
    files: Sequence[Found], project: str, incoming: S3Blobs, health: Health, told: Told
) -> tuple[ImageList, list[Problem]]:
    """Bring a folder's images into the store, each content once; return them, and what could not be read."""
    keeping = ByReference(incoming, f"{stream_of(project)}/", health)
    hands = asyncio.Semaphore(_AT_ONCE)
    done = 0

    async def one(file: Found) -> StoredImage | Problem:
        nonlocal done
        async with hands:
            try:
                data = await asyncio.to_thread(file.path.read_bytes)
            except OSError as error:
                return Problem(file.name, f"it can't be read: {error.strerror}", "image unreadable")
            key = (await keeping.put(data)).key
            done += 1
            told(done, len(files))
            return StoredImage(bucket="incoming", key=key, file=_text(file.name), medium=file.medium)

    outcomes = await asyncio.gather(*map(one, files))
    images = tuple(one for one in outcomes if isinstance(one, StoredImage))
    problems = [one for one in outcomes if isinstance(one, Problem)]
    if not images:
        raise Misconfigured(f"none of the images can be read; the first: {problems[0]}")
    return ImageList(images=images), problems


def _text(name: str) -> str:
    """Return a file name as text that can travel; Python keeps other bytes of it as surrogates."""
    return name.encode("utf-8", "replace").decode()
