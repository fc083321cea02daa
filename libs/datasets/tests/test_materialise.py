from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Rejected
from labelstream.events.training import DatasetRef
from labelstream.service.health import Health
from labelstream.values import sha256_hex
from labelstream_datasets.loading import load_description, load_manifest
from labelstream_datasets.materialise import FINISHED, materialise
from labelstream_datasets.store import BuiltDataset, store


@pytest.fixture
async def built(scribe: Any, archivist: Any, build_now: Any) -> BuiltDataset:
    for n in range(12):
        scribe.record(f"n{n}", n, f"m{n}", split=["train", "train", "val", "test"][n % 4])
    dataset: BuiltDataset = build_now(scribe, await archivist.answer(scribe, [4, 8]))
    return dataset


@pytest.fixture
async def dataset(built: BuiltDataset, blobs: MemoryBlobs) -> DatasetRef:
    return await store(blobs, built)


async def test_a_stored_dataset_reads_back_and_says_what_it_is(
    built: BuiltDataset, dataset: DatasetRef, blobs: MemoryBlobs
) -> None:
    description = await load_description(blobs, dataset.description)
    assert dataset.id == description.id == built.manifest.id
    assert description.class_schema.classes == ("car", "truck", "person")
    assert description.cut == dataset.cut
    assert dataset.samples == {"train": 18, "val": 3, "test": 3}
    assert dataset.test_images == 3
    assert list((await load_manifest(blobs, description)).rows()) == list(built.manifest.rows())


async def test_what_was_stored_first_stands(built: BuiltDataset, dataset: DatasetRef, blobs: MemoryBlobs) -> None:
    later = built.description.model_copy(update={"cut": built.description.cut.model_copy(update={"offset": 99})})
    again = await store(blobs, BuiltDataset(later, built.manifest))
    assert again.description == dataset.description
    assert again.cut.offset == 99


async def test_the_folder_holds_every_sample_once_with_its_labels(
    built: BuiltDataset, dataset: DatasetRef, blobs: MemoryBlobs, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    folder = await materialise(
        blobs, Health(), dataset.description, tmp_path / "d", told=lambda done, total: told.append((done, total))
    )
    for split in ("train", "val", "test"):
        rows = list(built.manifest.rows([split]))
        found = sorted((folder / split / "images").iterdir())
        assert sorted(sha256_hex(path.read_bytes()) for path in found) == sorted(row.sha256 for row in rows)
        labels = sorted((folder / split / "labels").iterdir())
        assert [path.stem for path in labels] == [path.stem for path in found]
        assert all(path.read_text().count("\n") == 1 for path in labels)
    data = yaml.safe_load((folder / "data.yaml").read_text())
    assert data["names"] == {0: "car", 1: "truck", 2: "person"}
    assert [data[split] for split in ("train", "val", "test")] == ["train/images", "val/images", "test/images"]
    assert Path(data["path"]) == folder.resolve()
    assert told[-1] == (24, 24)
    assert sorted(path.name for path in folder.iterdir()) == [FINISHED, "data.yaml", "test", "train", "val"]


async def test_one_split_can_be_had_alone(dataset: DatasetRef, blobs: MemoryBlobs, tmp_path: Path) -> None:
    folder = await materialise(blobs, Health(), dataset.description, tmp_path / "d", splits=["test"])
    assert len(list((folder / "test" / "images").iterdir())) == 3
    assert not (folder / "train").exists()


async def test_a_finished_folder_is_taken_as_it_is_and_an_unfinished_one_begun_again(
    dataset: DatasetRef, blobs: MemoryBlobs, tmp_path: Path, built: BuiltDataset
) -> None:
    folder = await materialise(blobs, Health(), dataset.description, tmp_path / "d")
    (folder / "note").touch()
    await materialise(blobs, Health(), dataset.description, tmp_path / "d")
    assert (folder / "note").exists()
    (folder / FINISHED).unlink()
    (folder / "train" / "images" / "stray.jpg").touch()
    await materialise(blobs, Health(), dataset.description, tmp_path / "d")
    assert not (folder / "note").exists()
    assert not (folder / "train" / "images" / "stray.jpg").exists()


async def test_an_archive_that_changed_or_is_gone_is_refused_and_leaves_nothing_finished(
    dataset: DatasetRef, blobs: MemoryBlobs, tmp_path: Path, built: BuiltDataset
) -> None:
    key = next(built.manifest.rows()).archive
    data = bytearray((await blobs.get(key)).data)
    data[600] ^= 1
    await blobs.put(key, bytes(data))
    with pytest.raises(Rejected, match=r"object\.changed"):
        await materialise(blobs, Health(), dataset.description, tmp_path / "d")
    await blobs.delete(key)
    with pytest.raises(Rejected, match=r"object\.missing"):
        await materialise(blobs, Health(), dataset.description, tmp_path / "d")
    assert not (tmp_path / "d" / FINISHED).exists()


async def test_a_description_that_changed_is_refused(dataset: DatasetRef, blobs: MemoryBlobs, tmp_path: Path) -> None:
    await blobs.put(dataset.description.key, b"{}")
    with pytest.raises(Rejected, match=r"object\.changed"):
        await materialise(blobs, Health(), dataset.description, tmp_path / "d")


async def test_laying_out_waits_for_a_store_that_is_away(
    dataset: DatasetRef, blobs: MemoryBlobs, tmp_path: Path
) -> None:
    health = Health()
    blobs.away = "maintenance"
    work = asyncio.create_task(materialise(blobs, health, dataset.description, tmp_path / "d"))
    while health.is_ready:  # noqa: ASYNC110  # health tells nobody of its changes
        await asyncio.sleep(0)
    blobs.away = None
    assert (await work / FINISHED).exists()
