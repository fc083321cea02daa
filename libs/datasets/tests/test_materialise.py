from __future__ import annotations

import asyncio
import errno
import io
import itertools
import tarfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.blobs.ports import BlobNotFound
from labelstream.errors import Misconfigured, Rejected
from labelstream.events.training import DatasetRef
from labelstream.service.health import Health
from labelstream.values import SPLITS, sha256_hex
from labelstream_datasets.archives.tar_stream import TarStream
from labelstream_datasets.layout.disk import write_file, writing
from labelstream_datasets.layout.interrupted import UNFINISHED, first_line
from labelstream_datasets.layout.materialise import FINISHED, materialise
from labelstream_datasets.layout.unpacking import place, stem
from labelstream_datasets.loading import load_description, load_manifest
from labelstream_datasets.manifest import Manifest
from labelstream_datasets.options import DatasetOptions, LabelRules
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
    assert sorted(path.name for path in folder.iterdir()) == [
        FINISHED,
        "data.yaml",
        "media.csv",
        "test",
        "train",
        "val",
    ]


async def test_one_split_can_be_had_alone(dataset: DatasetRef, blobs: MemoryBlobs, tmp_path: Path) -> None:
    folder = await materialise(blobs, Health(), dataset.description, tmp_path / "d", splits=["test"])
    assert len(list((folder / "test" / "images").iterdir())) == 3
    assert not (folder / "train").exists()


async def test_a_finished_folder_is_taken_as_it_is(dataset: DatasetRef, blobs: MemoryBlobs, tmp_path: Path) -> None:
    folder = await materialise(blobs, Health(), dataset.description, tmp_path / "d")
    (folder / "train" / "images" / "note").touch()
    await materialise(blobs, Health(), dataset.description, tmp_path / "d")
    assert (folder / "train" / "images" / "note").exists()


@dataclass
class Lacking(MemoryBlobs):
    """A store that remembers which archives were asked for, and that lacks one, as it says when the others are done."""

    missing: str | None = None
    others_done: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[str] = field(default_factory=list)

    async def get_range(self, key: str, start: int, end: int) -> bytes:
        """Read bytes [start, end) of an object."""
        self.asked.append(key)
        if key == self.missing:
            await self.others_done.wait()
            raise BlobNotFound(key)
        return await super().get_range(key, start, end)


@pytest.fixture
async def interrupted(dataset: DatasetRef, blobs: MemoryBlobs, built: BuiltDataset, tmp_path: Path) -> list[str]:
    """Lay all archives out but the last; return them."""
    archives = [rows[0].archive for rows in built.manifest.by_archive()]
    done = asyncio.Event()
    broken = Lacking(_objects=blobs._objects, missing=archives[-1], others_done=done)
    before = sum(len(rows) for rows in built.manifest.by_archive() if rows[0].archive != archives[-1])

    def told(count: int, _total: int) -> None:
        if count == before:
            done.set()

    with pytest.raises(Rejected, match=r"object\.missing"):
        await materialise(broken, Health(), dataset.description, tmp_path / "d", told=told)
    return archives


async def again(blobs: MemoryBlobs, dataset: DatasetRef, built: BuiltDataset, folder: Path) -> list[str]:
    """Lay it out once more; return which archives were asked for."""
    watched = Lacking(_objects=blobs._objects)
    await materialise(watched, Health(), dataset.description, folder)
    expect_whole(folder, built)
    return watched.asked


def expect_whole(folder: Path, built: BuiltDataset) -> None:
    found = {sha256_hex(path.read_bytes()) for path in folder.glob("*/images/*")}
    assert found == {row.sha256 for row in built.manifest.rows()}
    assert len(list(folder.glob("*/labels/*"))) == len(built.manifest)


async def test_an_interrupted_one_goes_on(
    interrupted: list[str], dataset: DatasetRef, blobs: MemoryBlobs, built: BuiltDataset, tmp_path: Path
) -> None:
    assert await again(blobs, dataset, built, tmp_path / "d") == interrupted[-1:]


@pytest.mark.parametrize("kind", ["images", "labels"])
async def test_what_a_person_put_among_the_files_goes_only_when_it_may_be_replaced(
    kind: str, interrupted: list[str], dataset: DatasetRef, blobs: MemoryBlobs, built: BuiltDataset, tmp_path: Path
) -> None:
    mine, folder = tmp_path / f"d/train/{kind}/mine.jpg", tmp_path / f"d/val/{kind}/more"
    mine.touch()
    folder.mkdir()
    with pytest.raises(
        Misconfigured, match=rf"train/{kind}/mine\.jpg is not of this dataset, nor are 1 more .*--replace"
    ):
        await materialise(blobs, Health(), dataset.description, tmp_path / "d")
    assert mine.exists()
    await materialise(blobs, Health(), dataset.description, tmp_path / "d", replace=True)
    expect_whole(tmp_path / "d", built)


@pytest.mark.parametrize("kind", ["images", "labels"])
async def test_an_archive_whose_files_are_no_longer_what_they_were_is_fetched_again(
    kind: str, interrupted: list[str], dataset: DatasetRef, blobs: MemoryBlobs, built: BuiltDataset, tmp_path: Path
) -> None:
    next((tmp_path / "d").glob(f"*/{kind}/*")).write_text("")
    assert len(await again(blobs, dataset, built, tmp_path / "d")) == 2


@pytest.mark.parametrize("left", [0, 1, 80, -1, -30], ids=["empty", "begun", "one line", "last byte", "last line"])
async def test_an_interrupted_one_goes_on_wherever_its_notes_were_cut_off(
    left: int,
    interrupted: list[str],
    dataset: DatasetRef,
    blobs: MemoryBlobs,
    built: BuiltDataset,
    tmp_path: Path,
) -> None:
    notes = tmp_path / "d" / UNFINISHED
    notes.write_bytes(notes.read_bytes()[:left])
    asked = await again(blobs, dataset, built, tmp_path / "d")
    assert interrupted[-1] in asked
    assert not notes.exists()
    assert first_line(tmp_path / "d" / FINISHED) == f"{dataset.id} train val test"
    assert await again(blobs, dataset, built, tmp_path / "d") == []


async def test_another_dataset_is_begun_anew_and_the_files_of_others_stay(
    dataset: DatasetRef, blobs: MemoryBlobs, interrupted: list[str], tmp_path: Path
) -> None:
    (tmp_path / "d/notes.txt").touch()
    folder = await materialise(blobs, Health(), dataset.description, tmp_path / "d", splits=["val"], replace=True)
    assert sorted(path.name for path in folder.iterdir()) == [FINISHED, "data.yaml", "media.csv", "notes.txt", "val"]


@pytest.mark.parametrize("finished", [True, False], ids=["finished", "interrupted"])
async def test_other_splits_or_another_dataset_are_refused_by_name_and_left_alone(
    finished: bool, interrupted: list[str], dataset: DatasetRef, blobs: MemoryBlobs, tmp_path: Path
) -> None:
    if finished:
        await materialise(blobs, Health(), dataset.description, tmp_path / "d")
    before = {path: path.read_bytes() for path in (tmp_path / "d").rglob("*") if path.is_file()}
    said = rf"d holds the dataset {dataset.id[:12]} \(train, val, test\): .*`--replace`"
    with pytest.raises(Misconfigured, match=said):
        await materialise(blobs, Health(), dataset.description, tmp_path / "d", splits=["val"])
    assert {path: path.read_bytes() for path in (tmp_path / "d").rglob("*") if path.is_file()} == before


async def test_the_description_of_some_splits_has_the_keys_that_trainers_require(
    dataset: DatasetRef, blobs: MemoryBlobs, tmp_path: Path
) -> None:
    folder = await materialise(blobs, Health(), dataset.description, tmp_path / "d", splits=["test"])
    text = (folder / "data.yaml").read_text()
    data = yaml.safe_load(text)
    assert [data[split] for split in SPLITS] == ["test/images"] * 3
    assert "# train is not here" in text
    assert "# val is not here" in text


@pytest.mark.parametrize("place", ["file", "file/inside", "file/far/inside"])
async def test_a_place_where_nothing_can_be_made_is_said_plainly(
    place: str, dataset: DatasetRef, blobs: MemoryBlobs, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(Misconfigured, match=r"is a file, not a directory$"):
        await materialise(blobs, Health(), dataset.description, tmp_path / place)
    assert (tmp_path / "file").read_text() == "mine"


async def test_a_folder_that_is_not_ours_is_refused_and_left_alone(
    dataset: DatasetRef, blobs: MemoryBlobs, tmp_path: Path
) -> None:
    mine = tmp_path / "d/train/images/mine.jpg"
    mine.parent.mkdir(parents=True)
    mine.touch()
    with pytest.raises(Misconfigured, match="name an empty directory"):
        await materialise(blobs, Health(), dataset.description, tmp_path / "d")
    assert mine.exists()


async def test_an_archive_that_was_collected_is_refused_by_name(
    dataset: DatasetRef, blobs: MemoryBlobs, built: BuiltDataset, tmp_path: Path
) -> None:
    key = next(built.manifest.rows()).archive
    await blobs.delete(key)
    await blobs.put(keys.collected(key), b"{}")
    with pytest.raises(Rejected, match=rf"dataset\.collected: {key} was removed on .* by `labelstream gc`"):
        await materialise(blobs, Health(), dataset.description, tmp_path / "d")


async def test_labels_are_laid_out_as_the_rules_of_the_dataset_say(
    built: BuiltDataset, blobs: MemoryBlobs, tmp_path: Path
) -> None:
    options = DatasetOptions(merge={"truck": "car"}, classes=("car",))
    schema = built.description.class_schema
    ruled = built.description.model_copy(
        update={**dict(options), "project_schema": schema, "class_schema": LabelRules.of(options, schema).class_schema}
    )
    stored = await store(blobs, BuiltDataset(ruled, built.manifest))
    folder = await materialise(blobs, Health(), stored.description, tmp_path / "d")
    texts = Counter(path.read_text() for path in folder.glob("*/labels/*.txt"))
    assert texts == {"0 0.500000 0.500000 0.200000 0.100000\n": 16, "": 8}
    assert yaml.safe_load((folder / "data.yaml").read_text())["names"] == {0: "car"}


async def test_two_images_whose_names_meet_both_stay(built: BuiltDataset, blobs: MemoryBlobs, tmp_path: Path) -> None:
    """Names hold 64 bits of a digest, so that images can be made whose names meet."""
    (rows, others) = list(built.manifest.by_archive())[:2]
    one, other = rows[0], next(row for row in others if row.split == rows[0].split and row.variant == 0)
    files = {}
    for row, content in ((one, b"one"), (other, b"other")):
        files[row.archive] = tar_of({one.path: content, f"{stem(one.path)}.txt": b""})
    met = [
        row._replace(
            path=one.path,
            sha256=sha256_hex(content),
            archive_sha256=sha256_hex(files[row.archive]),
            archive_bytes=len(files[row.archive]),
        )
        for row, content in ((one, b"one"), (other, b"other"))
    ]
    for key, data in files.items():
        await blobs.put(key, data)
    manifest = Manifest.of(met)
    description = built.description.model_copy(update={"id": manifest.id})
    stored = await store(blobs, BuiltDataset(description, manifest))
    folder = await materialise(blobs, Health(), stored.description, tmp_path / "d")
    images = {path.name: path.read_bytes() for path in folder.glob("*/images/*")}
    assert images == {f"{one.image}_{one.path}": b"one", f"{other.image}_{one.path}": b"other"}
    assert len(list(folder.glob("*/labels/*"))) == 2


def tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(mode="w", fileobj=buffer) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize("path", ["..", "a/..", "a\\b.jpg", "a\0.jpg"], ids=["up", "below", "windows", "nul"])
def test_a_name_that_leads_elsewhere_is_refused(path: str, built: BuiltDataset) -> None:
    with pytest.raises(Rejected, match=r"dataset\.name_unsafe"):
        place(next(built.manifest.rows())._replace(path=path), ())


@given(files=st.lists(st.binary(max_size=2000), max_size=8), cuts=st.lists(st.integers(1, 3000), min_size=1))
def test_the_files_of_a_tar_do_not_depend_on_how_its_bytes_come(files: list[bytes], cuts: list[int]) -> None:
    named = {f"{number}.txt": content for number, content in enumerate(files)}
    data, found, stream = tar_of(named), {}, TarStream()
    sizes = itertools.cycle(cuts)
    while data:
        size = next(sizes)
        found.update({name: bytes(content) for name, content in stream.feed(data[:size])})
        data = data[size:]
    assert found == named


def test_a_full_disk_is_said_with_what_to_do() -> None:
    said = pytest.raises(Rejected, match=r"disk\.full: .*the disk is full .* MB free\)\. Make room")
    with said, writing(Path("/dev/full"), "Make room"):
        write_file("/dev/full", b"x")


def test_a_place_that_can_not_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(Misconfigured, match=r"inside can't be written: .* not a directory"),
        writing(tmp_path, "Make room"),
    ):
        write_file(str(tmp_path / "file/inside"), b"x")


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.EACCES, "you have no right to"), (errno.EROFS, "its disk can only be read")],
    ids=["no right", "read-only disk"],
)
def test_what_the_system_refuses_is_said_in_words(number: int, said: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=f"^{tmp_path} can't be written: {said}$"), writing(tmp_path, "Make room"):
        raise OSError(number, "as the system says it", str(tmp_path))


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
