"""Azaion's dataset folders, and images that nobody labelled."""

from collections.abc import Callable
from pathlib import Path

import pytest

from labelstream.errors import Misconfigured
from labelstream_cli.importers import Options, read_folder

MakeImage = Callable[..., Path]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def azaion(tmp_path: Path, make_image: MakeImage) -> Path:
    for place, name, line in (
        ("data", "film_1", "1 0.5 0.5 0.2 0.4\n"),
        ("data-seed", "film_2", "22 0.5 0.5 0.2 0.4\n"),
        ("data_deleted", "film_3", "40 0.5 0.5 0.2 0.4\n"),
        ("data-processed", "film_1_1", "1 0.5 0.5 0.2 0.4\n"),
    ):
        make_image(tmp_path / place / f"images/{name}.jpg")
        write(tmp_path / place / f"labels/{name}.txt", line)
    return tmp_path


def test_each_place_says_what_its_annotations_are_and_numbers_are_the_azaion_classes(azaion: Path) -> None:
    folder = read_folder(azaion)

    assert folder.form == "Azaion"
    assert [(one.name, one.boxes[0].name, one.validated, one.deleted) for one in folder] == [
        ("film_1", "Truck", True, False),
        ("film_2", "Vehicle(Wint)", False, False),
        ("film_3", "ArmorVehicle(Night)", False, True),
    ]
    assert folder.problems == ()


def test_an_image_without_a_label_file_and_a_label_without_an_image_are_reported(
    azaion: Path, make_image: MakeImage
) -> None:
    make_image(azaion / "data/images/forgotten.jpg")
    write(azaion / "data/labels/lost.txt", "1 0.5 0.5 0.2 0.4\n")

    folder = read_folder(azaion)

    assert len(folder) == 3
    assert {one.name: one.kind for one in folder.problems} == {
        "forgotten": "image without labels", "data/labels/lost.txt": "label without an image",
    }  # fmt: skip


def test_a_name_in_two_places_is_taken_from_the_first(azaion: Path, make_image: MakeImage) -> None:
    make_image(azaion / "data_deleted/images/film_1.jpg")
    write(azaion / "data_deleted/labels/film_1.txt", "1 0.5 0.5 0.2 0.4\n")

    folder = read_folder(azaion)

    assert {one.name: one.deleted for one in folder} == {"film_1": False, "film_2": False, "film_3": True}
    assert [one.kind for one in folder.problems] == ["name used twice"]


def test_a_yolo_folder_that_happens_to_be_called_data_stays_yolo(tmp_path: Path, make_image: MakeImage) -> None:
    make_image(tmp_path / "data/images/a.jpg")
    write(tmp_path / "data/labels/a.txt", "0 0.5 0.5 0.2 0.4\n")
    write(tmp_path / "data.yaml", "names: [car]\n")

    folder = read_folder(tmp_path)

    assert (folder.form, folder.images[0].boxes[0].name) == ("YOLO", "car")


def test_images_alone_are_refused_with_the_option_that_takes_them(tmp_path: Path, make_image: MakeImage) -> None:
    make_image(tmp_path / "2024/a.jpg")

    with pytest.raises(Misconfigured, match="--unlabelled sends them without boxes"):
        read_folder(tmp_path)
    (image,) = read_folder(tmp_path, options=Options(unlabelled=True))
    assert (image.name, image.boxes, image.validated) == ("a", (), False)


def test_an_image_whose_name_is_no_text_is_reported(tmp_path: Path, make_image: MakeImage) -> None:
    make_image(tmp_path / "a.jpg").rename(tmp_path / "\udcff.jpg")

    folder = read_folder(tmp_path, options=Options(unlabelled=True))

    assert len(folder) == 0
    assert [(one.name, one.kind) for one in folder.problems] == [("'\\udcff'", "image unreadable")]
