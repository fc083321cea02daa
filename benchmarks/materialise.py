"""A dataset of 30 archives from the store onto disk, against GET piped into `tar -x` for the same bytes.

Ours reads the manifest, checks every archive's digest, sorts the samples into splits and notes what is done. The
ceiling is curl on presigned URLs (so that it signs nothing) piped into `tar -x`, all archives through one pipe. The
peer is boto3 piped into Python's tarfile, in as many threads as ours has. For information there is also a pipe for
each archive, so many at once as ours. What was written before is on the disk before the clock starts; every run writes
into a folder of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import cv2
import numpy as np
from botocore.config import Config

from benchmarks.pairs import Contest, Run
from benchmarks.servers import running
from labelstream import keys
from labelstream.blobs.s3 import S3Blobs
from labelstream.classes import ClassSchema
from labelstream.events.annotation import ImageRef
from labelstream.labels import Box
from labelstream.service.health import Health
from labelstream.service.settings import StoreSettings
from labelstream.values import FileRef, Position, sha256_hex
from labelstream_datasets.archives.contents import ArchiveWriter
from labelstream_datasets.description import DatasetDescription, SplitCount
from labelstream_datasets.layout.materialise import AT_ONCE, materialise
from labelstream_datasets.manifest import Manifest, Row
from labelstream_datasets.store import BuiltDataset, store
from labelstream_local.seaweedfs import WeedServer

ARCHIVES, IMAGES, VARIANTS = 30, 4, 8  # images of an archive, and variants of an image with the original
WIDTH, HEIGHT = 1280, 720
RECIPE, LABELS = "a" * 64, "b" * 64


@asynccontextmanager
async def contests(folder: Path) -> AsyncIterator[list[Contest]]:
    """Start a store and fill it with a dataset."""
    async with running(WeedServer(folder / "seaweedfs")) as server:
        blobs = S3Blobs(server.settings, server.settings.data_bucket, Health())
        try:
            filled = await _fill(blobs)
            lab = Lab(folder / "out", blobs, server.settings, filled)
            yield lab.contests()
        finally:
            await blobs.close()


@dataclass(frozen=True)
class Filled:
    """What lies in the store."""

    description: FileRef
    archives: Sequence[FileRef]
    samples: int

    @property
    def mebibytes(self) -> float:
        """How much there is to move."""
        return sum(archive.size_bytes for archive in self.archives) / (1 << 20)


class Lab:
    """The dataset, laid out in turn by us and by others."""

    def __init__(self, out: Path, blobs: S3Blobs, settings: StoreSettings, filled: Filled) -> None:
        self._blobs, self._filled = blobs, filled
        self._folders = (out / str(number) for number in itertools.count())
        self._bucket = settings.data_bucket
        self._client: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=settings.endpoint_url,
            region_name=settings.region,
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=settings.secret_key.get_secret_value(),
            config=Config(max_pool_connections=2 * AT_ONCE, s3={"addressing_style": "path"}),
        )
        self._urls = [
            self._client.generate_presigned_url("get_object", {"Bucket": self._bucket, "Key": archive.key})
            for archive in filled.archives
        ]

    def contests(self) -> list[Contest]:
        """Return ours against each of the others."""
        ours, amount = self.run(self.ours), self._filled.mebibytes
        pipes = f"{AT_ONCE} pipes at once"
        return [
            Contest("pull a dataset", ours, {"curl | tar": self.run(self._one_pipe)}, amount, "MiB"),
            Contest(
                "beside Python's way",
                ours,
                {"boto3 | tarfile": self.run(self._boto3)},
                amount,
                "MiB",
                "ratio_to_best_peer",
            ),
            Contest(
                f"for information: {pipes}", ours, {pipes: self.run(self._pipes)}, amount, "MiB", "ratio_to_best_peer"
            ),
        ]

    def run(self, lay_out: Callable[[Path], Awaitable[object]]) -> Run:
        """Return a run of one side."""

        async def timed() -> float:
            folder = next(self._folders)
            await asyncio.to_thread(folder.mkdir, parents=True)
            await asyncio.to_thread(os.sync)
            began = time.perf_counter()
            await lay_out(folder)
            taken = time.perf_counter() - began
            files = await asyncio.to_thread(lambda: sum(path.suffix in {".jpg", ".txt"} for path in folder.rglob("*")))
            assert files == 2 * self._filled.samples, f"{files} files, not {2 * self._filled.samples}"
            await asyncio.to_thread(shutil.rmtree, folder)
            return taken

        return timed

    async def ours(self, folder: Path) -> None:
        """Lay it out as a trainer does."""
        await materialise(self._blobs, Health(), self._filled.description, folder)

    async def _one_pipe(self, folder: Path) -> None:
        command = 'curl --silent --fail "$@" | tar --extract --ignore-zeros --directory "$0"'
        await _shell(command, str(folder), *self._urls)

    async def _pipes(self, folder: Path) -> None:
        urls = iter(self._urls)

        async def work() -> None:
            for url in urls:
                await _shell('curl --silent --fail "$1" | tar --extract --directory "$0"', str(folder), url)

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))

    async def _boto3(self, folder: Path) -> None:
        def one(archive: FileRef) -> None:
            with (
                self._client.get_object(Bucket=self._bucket, Key=archive.key)["Body"] as body,
                tarfile.open(fileobj=body, mode="r|") as tar,
            ):
                tar.extractall(folder, filter="data")

        with ThreadPoolExecutor(AT_ONCE) as pool:
            await asyncio.to_thread(list, pool.map(one, self._filled.archives))


async def _shell(command: str, *arguments: str) -> None:
    await asyncio.to_thread(subprocess.run, ["/bin/sh", "-c", command, *arguments], check=True)


async def _fill(blobs: S3Blobs) -> Filled:
    rows: list[Row] = []
    archives: list[FileRef] = []
    photos = _photos()
    for number in range(ARCHIVES):
        archive, added = await asyncio.to_thread(_archive, number, photos)
        file = FileRef.of(keys.archive("default", sha256_hex(str(number).encode())), archive)
        await blobs.put(file.key, archive)
        archives.append(file)
        rows += [
            row._replace(archive=file.key, archive_sha256=file.sha256, archive_bytes=file.size_bytes) for row in added
        ]
    manifest = Manifest.of(rows)
    description = DatasetDescription(
        id=manifest.id,
        project="default",
        cut=Position(stream="annotation-events", offset=0),
        class_schema=ClassSchema(name="bench", classes=("car", "truck")),
        recipe=RECIPE,
        counts={"train": SplitCount(samples=len(rows))},
    )
    stored = await store(blobs, BuiltDataset(description, manifest))
    return Filled(stored.description, archives, len(rows))


def _archive(number: int, photos: Sequence[bytes]) -> tuple[bytes, list[Row]]:
    writer = ArchiveWriter(RECIPE)
    shapes = tuple(Box(class_id=n % 2, x=0.5, y=0.5, w=0.1 + n / 100, h=0.2) for n in range(10))
    for image in range(IMAGES):
        digest = sha256_hex(f"{number} {image}".encode())
        ref = ImageRef(
            key=f"default/images/{digest}.jpg", sha256=digest, size_bytes=1, format="jpeg", width=WIDTH, height=HEIGHT
        )
        shifted = [photos[(number + image + variant) % len(photos)] for variant in range(VARIANTS)]
        writer.add(ref, LABELS, [(photo, shapes) for photo in shifted], None)
    contents, archive = writer.finish()
    assert archive is not None
    fixed = {"recipe": RECIPE, "split": "train", "archive": "", "archive_sha256": "", "archive_bytes": 0}
    rows = [
        Row(
            **fixed,
            image=made.image,
            labels=made.labels,
            variant=variant.variant,
            name=made.image,
            medium=made.image,
            path=variant.image_path,
            boxes=variant.boxes,
            sha256=variant.sha256,
        )
        for made in contents.made
        for variant in made.variants
    ]
    return archive, rows


def _photos() -> list[bytes]:
    """Return JPEGs of about 290 KB, as variants of photos have."""
    random = np.random.default_rng(0)
    photos = []
    for _ in range(16):
        noise = random.integers(0, 256, (HEIGHT // 4, WIDTH // 4, 3), dtype=np.uint8)
        enlarged = cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        _, encoded = cv2.imencode(".jpg", enlarged, [cv2.IMWRITE_JPEG_QUALITY, 75])
        photos.append(encoded.tobytes())
    return photos
