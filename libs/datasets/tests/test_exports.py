"""Where exports are written, and what they refuse; what they hold is read back in tests/datasets."""

from __future__ import annotations

import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from labelstream.classes import ClassSchema
from labelstream.errors import Misconfigured
from labelstream.values import SPLITS, Position
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.exports import FORMS, Form, export
from labelstream_datasets.exports.pixels import coco_box, corner_texts
from labelstream_datasets.exports.targets import opened
from labelstream_datasets.layout.interrupted import FINISHED

STEM = "0123456789abcdef-01234567"


def description(*classes: str) -> DatasetDescription:
    return DatasetDescription(
        id="d" * 64,
        project="default",
        cut=Position(stream="annotation-events", offset=0),
        class_schema=ClassSchema(name="few", classes=classes or ("Truck", "Plane")),
        recipe="a" * 64,
        counts={},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "dataset"
    for split in SPLITS:
        for kind in ("images", "labels"):
            (root / split / kind).mkdir(parents=True)
    for variant in range(2):
        Image.new("RGB", (8, 4)).save(root / f"train/images/{STEM}_{variant}.jpg")
        (root / f"train/labels/{STEM}_{variant}.txt").write_text("1 0.5 0.5 0.25 0.5\n")
    (root / FINISHED).write_text(f"{'d' * 64} {' '.join(SPLITS)}")
    return root


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("form", FORMS)
def test_a_zip_has_the_same_bytes_every_time_and_compresses_nothing(form: Form, folder: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    export(folder, description(), form, first)
    for path in folder.rglob("*"):
        path.touch()
    export(folder, description(), form, second)
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert archive.testzip() is None
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        export(folder, description(), form, tmp_path / "plain")
        assert sorted(archive.namelist()) == tree(tmp_path / "plain")


def test_a_target_that_is_there_is_never_written_over(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out.zip").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("out.zip", "out", "link"):
        with pytest.raises(Misconfigured, match="exists already"):
            export(folder, description(), "yolo", tmp_path / name)
    assert (tmp_path / "out.zip").read_text() == "mine"
    assert tree(tmp_path / "out") == ["mine"]


def test_an_empty_folder_may_become_the_export(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    export(folder, description(), "yolo", tmp_path / "out")
    assert "data.yaml" in tree(tmp_path / "out")


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_what_fails_halfway_leaves_nothing(name: str, folder: Path, tmp_path: Path) -> None:
    (folder / f"train/labels/{STEM}_1.txt").unlink()
    with pytest.raises(Misconfigured, match=f"{STEM}_1.txt: No such file"):
        export(folder, description(), "yolo", tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_progress_is_told_and_what_was_written_is_counted(folder: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    said = export(folder, description(), "coco", tmp_path / "out", lambda *progress: told.append(progress))
    assert told == [(1, 2), (2, 2)]
    assert (said.images, said.boxes) == (2, 2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": "e" * 64}, "holds the dataset d+, not e+"),
        ({"class_schema": ClassSchema(name="few", classes=("car", "Plane"))}, "Azaion has no class 'car'"),
    ],
    ids=["another dataset", "classes that Azaion does not have"],
)
def test_what_can_not_be_written_is_refused_with_its_reason(
    change: dict[str, Any], reason: str, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(Misconfigured, match=reason):
        export(folder, description().model_copy(update=change), "azaion", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_class_that_xml_can_not_hold_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="can't be named in PASCAL VOC"):
        export(folder, description("car", "bell\a"), "voc", tmp_path / "out")


def test_an_unfinished_folder_or_one_without_the_split_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / FINISHED).write_text(f"{'d' * 64} train")
    with pytest.raises(Misconfigured, match="laid out without val"):
        export(folder, description(), "yolo", tmp_path / "out", splits=["train", "val"])
    (folder / FINISHED).unlink()
    with pytest.raises(Misconfigured, match="no dataset, or one that is not whole"):
        export(folder, description(), "yolo", tmp_path / "out")


def test_azaion_has_originals_in_data_and_everything_in_data_processed(folder: Path, tmp_path: Path) -> None:
    export(folder, description("Plane", "Truck"), "azaion", tmp_path / "out")
    assert tree(tmp_path / "out") == [
        "classes.json",
        f"data-processed/images/{STEM}.jpg",
        f"data-processed/images/{STEM}_1.jpg",
        f"data-processed/labels/{STEM}.txt",
        f"data-processed/labels/{STEM}_1.txt",
        f"data/images/{STEM}.jpg",
        f"data/labels/{STEM}.txt",
        "media.csv",
        *(f"splits/{split}.txt" for split in ("test", "train", "val")),
    ]
    assert (tmp_path / f"out/data/labels/{STEM}.txt").read_text() == "1 0.500000 0.500000 0.250000 0.500000\n"


@pytest.mark.parametrize("name", ["out.tar", "out.TGZ", "out.tar.gz", "out.7z"])
def test_an_archive_that_is_no_zip_is_refused(name: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"an export is a folder or a \.zip, not a \.(tar|TGZ|tgz|gz|7z)$"):
        export(folder, description(), "yolo", tmp_path / name)
    assert not (tmp_path / name).exists()


def test_what_a_killed_run_left_is_removed_by_the_next(folder: Path, tmp_path: Path) -> None:
    program = (
        "import os, pathlib, signal, sys\n"
        "from labelstream_datasets.exports.targets import opened\n"
        "with opened(pathlib.Path(sys.argv[1])) as place:\n"
        "    place.write('train/half.jpg', '')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path / "out")], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.rglob("half.jpg"))) == 1
    export(folder, description(), "yolo", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset", "out"]
    assert "train/half.jpg" not in tree(tmp_path / "out")


def test_two_runs_do_not_write_one_target_at_once(folder: Path, tmp_path: Path) -> None:
    with opened(tmp_path / "out") as place:
        place.write("mine", "")
        with pytest.raises(Misconfigured, match="another run is writing"):
            export(folder, description(), "yolo", tmp_path / "out")
    assert tree(tmp_path / "out") == ["mine"]


def test_a_target_below_a_file_is_refused_plainly(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match=r"can't be made: .*file is a file, not a directory"):
        export(folder, description(), "yolo", tmp_path / "file/out.zip")


def test_the_description_names_only_folders_that_are_there(folder: Path, tmp_path: Path) -> None:
    export(folder, description(), "yolo", tmp_path / "out")
    text = (tmp_path / "out/data.yaml").read_text()
    data = yaml.safe_load(text)
    assert (data["train"], data["val"], "test" in data) == ("train/images", "train/images", False)
    assert "# val is not here" in text


def test_corners_near_a_whole_pixel_are_whole_and_no_box_loses_its_area() -> None:
    assert corner_texts((132.00024, 10.0, 263.98, 20.5)) == ["132", "10", "263.98", "20.5"]
    assert corner_texts((131.995, 10.12349, 264.00999, 20)) == ["132", "10.123", "264", "20"]
    assert corner_texts((21.333216, 0, 21.333408, 1)) == ["21.333216", "0", "21.333408", "1"]


def test_boxes_of_coco_have_four_decimals_and_an_area() -> None:
    assert coco_box((131.99999999999997, 10, 263.99996, 20.00004)) == ([132.0, 10, 132.0, 10.0], 1320.0049)
    (_, _, width, height), area = coco_box((0.5, 0, 0.500001, 1))
    assert width > 0
    assert height == 1
    assert area > 0
