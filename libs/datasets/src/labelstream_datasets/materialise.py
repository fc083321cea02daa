"""From the store onto disk: a dataset as the folder that YOLO trainers read.

DIR/data.yaml      DIR/{train,val,test}/images/…      DIR/{train,val,test}/labels/….txt
"""

from __future__ import annotations

import asyncio
import shutil
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.values import SPLITS, FileRef, Split
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.forwarding import download_archive, erased
from labelstream_datasets.loading import load_description, load_manifest
from labelstream_datasets.manifest import Row

FINISHED = ".finished"  # names the dataset once everything is there
STORE = "object store"

Told = Callable[[int, int], None]  # (samples on disk, samples in all)


async def materialise(
    blobs: Blobs,
    health: Health,
    description: FileRef,
    directory: Path,
    splits: Sequence[Split] = SPLITS,
    told: Told | None = None,
) -> Path:
    """Lay a stored dataset out under `directory`, which is its own; return the directory.

    Each archive is fetched once, checked against its digest and unpacked while the next one comes.
    A directory that was finished before is taken as it is, another one is begun again. Waits while
    the store is away. An archive that was rewritten is followed to where its content lies now. Raises
    Rejected when something is gone from the store or changed there; `dataset.erased` when it was erased.
    """
    said = await patiently(health, STORE, lambda: load_description(blobs, description))
    mark = f"{said.id} {' '.join(splits)}"
    finished = directory / FINISHED
    if finished.is_file() and finished.read_text() == mark:
        return directory
    await asyncio.to_thread(_begin, directory, splits)
    manifest = (await patiently(health, STORE, lambda: load_manifest(blobs, said))).only(splits)
    archives = manifest.by_archive()
    done = 0
    fetching = _fetch_next(blobs, health, archives, directory)
    try:
        while (fetched := await fetching) is not None:
            fetching = _fetch_next(blobs, health, archives, directory)
            await asyncio.to_thread(fetched.unpack, directory)
            done += len(fetched.rows)
            if told is not None:
                told(done, len(manifest))
    finally:
        fetching.cancel()
    (directory / "data.yaml").write_text(_data_yaml(said, directory, splits))
    finished.write_text(mark)
    return directory


@dataclass(frozen=True)
class _Fetched:
    path: Path
    rows: list[Row]
    rewritten: bool  # without what was erased

    def unpack(self, directory: Path) -> None:
        """Write the samples that are wanted, and remove the archive."""
        wanted = dict(_targets(self.rows, directory))
        with tarfile.open(self.path, mode="r:") as tar:
            for entry in tar:
                target = wanted.pop(entry.name, None)
                content = tar.extractfile(entry) if target else None
                if target and content:
                    target.write_bytes(content.read())
        if wanted and self.rewritten:
            images = {row.image for row in self.rows if row.path in wanted}
            raise erased(f"{len(images)} of the dataset's images, {min(images)} among them")
        if wanted:
            raise Rejected(
                "dataset.archive_incomplete", f"{self.rows[0].archive} lacks {min(wanted)}", "Build a new dataset."
            )
        self.path.unlink()


def _fetch_next(
    blobs: Blobs, health: Health, archives: Iterator[list[Row]], directory: Path
) -> asyncio.Task[_Fetched | None]:
    async def fetch() -> _Fetched | None:
        rows = await asyncio.to_thread(next, archives, None)
        if rows is None:
            return None
        row = rows[0]
        archive = FileRef(key=row.archive, sha256=row.archive_sha256, size_bytes=row.archive_bytes)
        path = directory / f".{PurePosixPath(row.archive).name}"
        rewritten = await patiently(health, STORE, lambda: download_archive(blobs, archive, path))
        return _Fetched(path, rows, rewritten)

    return asyncio.create_task(fetch())


def _targets(rows: list[Row], directory: Path) -> Iterator[tuple[str, Path]]:
    """Return (member of the archive, file to write) for images and labels."""
    for row in rows:
        folder, member = directory / row.split, PurePosixPath(row.path)
        yield row.path, folder / "images" / member.name
        yield str(member.with_suffix(".txt")), folder / "labels" / f"{member.stem}.txt"


def _begin(directory: Path, splits: Sequence[Split]) -> None:
    if directory.exists():
        shutil.rmtree(directory)
    for split in splits:
        (directory / split / "images").mkdir(parents=True)
        (directory / split / "labels").mkdir()


def _data_yaml(description: DatasetDescription, directory: Path, splits: Sequence[Split]) -> str:
    folders: dict[str, str] = {split: f"{split}/images" for split in splits}
    names = dict(enumerate(description.class_schema.classes))
    content: dict[str, object] = {"path": str(directory.resolve()), **folders, "names": names}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
