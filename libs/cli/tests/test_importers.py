"""Reading annotated folders as others publish them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from labelstream.errors import Misconfigured
from labelstream_cli.importers import ImportedFolder, NamedBox, find_splits, read_folder

MakeImage = Callable[..., Path]


def reasons(folder: ImportedFolder) -> str:
    return "\n".join(map(str, folder.problems))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


# ---- YOLO


@pytest.fixture
def yolo(tmp_path: Path, make_image: MakeImage) -> Path:
    for name in ("a", "b"):
        make_image(tmp_path / "images" / f"{name}.jpg")
    write(tmp_path / "labels/a.txt", "1 0.5 0.5 0.2 0.4\n0 0.1 0.1 0.1 0.1\n")
    write(tmp_path / "data.yaml", "names: {0: car, 1: boat}\n")
    return tmp_path


def test_a_yolo_folder_gives_names_boxes_and_classes_in_the_order_of_data_yaml(yolo: Path) -> None:
    folder = read_folder(yolo)

    assert (folder.form, folder.classes) == ("YOLO", ("car", "boat"))
    assert [(one.name, one.medium, one.split) for one in folder] == [("a", "a", None), ("b", "b", None)]
    first = folder.images[0].boxes[0]
    assert (first.name, round(first.x, 6), round(first.y, 6), round(first.w, 6), round(first.h, 6)) == (
        "boat", 0.5, 0.5, 0.2, 0.4,
    )  # fmt: skip
    assert folder.images[1].boxes == ()  # an image without a label file shows nothing of interest
    assert [one.assumed_empty for one in folder] == [False, True]
    assert folder.problems == ()


def test_split_folders_on_either_side_of_images_tell_the_split(tmp_path: Path, make_image: MakeImage) -> None:
    make_image(tmp_path / "one/images/train/a.jpg")
    make_image(tmp_path / "one/images/val/b.jpg")
    write(tmp_path / "one/labels/train/a.txt", "0 0.5 0.5 0.2 0.4\n")
    write(tmp_path / "one/classes.txt", "car\n")
    make_image(tmp_path / "other/valid/images/a.jpg")
    make_image(tmp_path / "other/test/images/a.jpg")
    for split in ("valid", "test"):
        write(tmp_path / f"other/{split}/labels/a.txt", "0 0.5 0.5 0.2 0.4\n")
    write(tmp_path / "other/data.yaml", "names: [car]\n")

    assert [(one.name, one.split) for one in read_folder(tmp_path / "one")] == [("train/a", "train"), ("val/b", "val")]
    assert [(one.name, one.split, len(one.boxes)) for one in read_folder(tmp_path / "other")] == [
        ("test/a", "test", 1),
        ("valid/a", "val", 1),
    ]


def test_boxes_without_area_or_wholly_outside_are_left_out_and_others_are_cut(yolo: Path) -> None:
    lines = ["0 0.5 0.5 0 0.4", "0 1.5 0.5 0.2 0.2", "0 0.5 0.5 nan 0.2", "0 1.0 0.5 0.4 0.2", "0 0.5 0.5 -0.1 0.2"]
    write(yolo / "labels/a.txt", "\n".join(lines))

    folder = read_folder(yolo)

    (kept,) = folder.images[0].boxes
    assert kept == NamedBox("car", pytest.approx(0.9), 0.5, pytest.approx(0.2), pytest.approx(0.2))
    assert [problem.reason for problem in folder.problems] == [
        "a box of car has no area",
        "a box of car lies outside the image",
        "a box of car has no finite numbers",
        "a box of car has no area",
    ]


def test_lines_that_are_no_boxes_and_labels_without_an_image_are_reported(yolo: Path) -> None:
    write(yolo / "labels/a.txt", "0 0.5 0.5\n7 0.5 0.5 0.1 0.1\ncar 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1 0.1\n")
    write(yolo / "labels/lost.txt", "0 0.5 0.5 0.1 0.1\n")
    (yolo / "labels/b.txt").write_bytes(b"\xff\xfe\x00")

    folder = read_folder(yolo)

    assert [one.name for one in folder] == ["a"]
    assert len(folder.images[0].boxes) == 1
    told = reasons(folder)
    assert "a: line 1 is no box: 2 numbers after the class" in told
    assert "a: line 2: there is no class 7" in told
    assert "a: line 3 is no box" in told
    assert "b: its label file can't be read" in told
    assert "lost.txt: there is no image" in told


def test_a_polygon_becomes_the_box_around_it(yolo: Path) -> None:
    write(yolo / "labels/a.txt", "0 0.2 0.3 0.4 0.3 0.3 0.7\n")

    (box,) = read_folder(yolo).images[0].boxes

    assert (box.x, box.y, box.w, box.h) == tuple(map(pytest.approx, (0.3, 0.5, 0.2, 0.4)))


def test_a_yolo_folder_that_does_not_say_its_classes_is_refused(yolo: Path) -> None:
    (yolo / "data.yaml").unlink()

    with pytest.raises(Misconfigured, match="does not say its classes"):
        read_folder(yolo)


# ---- media and splits


def test_media_csv_tells_which_images_belong_together(yolo: Path) -> None:
    write(yolo / "media.csv", "image,medium\na.jpg,film-1\nb,film-1\n")

    assert [one.medium for one in read_folder(yolo)] == ["film-1", "film-1"]


def test_a_media_csv_with_another_head_is_refused(yolo: Path) -> None:
    write(yolo / "media.csv", "a.jpg,film-1\n")

    with pytest.raises(Misconfigured, match="must begin with the line: image,medium"):
        read_folder(yolo)


def test_published_lists_give_the_splits_and_what_they_miss_is_reported(yolo: Path) -> None:
    write(yolo / "lists/train.txt", "a.jpg\n")
    write(yolo / "lists/test.txt", "b\nc\n")
    write(yolo / "lists/trainval.txt", "b\n")

    folder = read_folder(yolo, yolo / "lists")

    assert [one.split for one in folder] == ["train", "test"]
    assert reasons(folder) == "c: stands in a published list, but there is no such image"


def test_images_of_one_medium_get_one_split_even_where_lists_disagree(yolo: Path) -> None:
    write(yolo / "media.csv", "image,medium\na,film\nb,film\n")
    write(yolo / "lists/train.txt", "a\n")
    write(yolo / "lists/test.txt", "b\n")

    folder = read_folder(yolo, yolo / "lists")

    assert [one.split for one in folder] == ["train", "train"]
    assert "b: its split test: film is in train with a" in reasons(folder)


def test_an_image_in_two_lists_is_refused(yolo: Path) -> None:
    write(yolo / "lists/train.txt", "a\n")
    write(yolo / "lists/val.txt", "a\n")

    with pytest.raises(Misconfigured, match=r"a stands in train\.txt and in val\.txt"):
        read_folder(yolo, yolo / "lists")


def test_splits_are_found_in_the_folder_or_beside_it(yolo: Path) -> None:
    assert find_splits(yolo) is None
    write(yolo / "splits/test.txt", "a\n")

    assert find_splits(yolo) == yolo / "splits"
    assert find_splits(yolo / "images") == yolo / "splits"


# ---- COCO


@pytest.fixture
def coco(tmp_path: Path, make_image: MakeImage) -> Path:
    make_image(tmp_path / "val2017/a.jpg")
    content = {
        "images": [{"id": 4, "file_name": "a.jpg", "width": 100, "height": 50},
                   {"id": 5, "file_name": "gone.jpg", "width": 100, "height": 50}],
        "categories": [{"id": 9, "name": "boat"}, {"id": 2, "name": "car"}],
        "annotations": [
            {"image_id": 4, "category_id": 9, "bbox": [10, 10, 20, 20]},
            {"image_id": 4, "category_id": 2, "bbox": [10, 10, 0, 20]},
            {"image_id": 4, "category_id": 2, "bbox": [0, 0, 100, 50], "iscrowd": 1},
            {"image_id": 4, "category_id": 3, "bbox": [0, 0, 100, 50]},
            {"image_id": 4, "category_id": 2, "segmentation": []},
        ],
    }  # fmt: skip
    write(tmp_path / "annotations/instances_val2017.json", json.dumps(content))
    return tmp_path


def test_a_coco_folder_gives_fractions_and_classes_in_the_order_of_their_ids(coco: Path) -> None:
    folder = read_folder(coco)

    assert (folder.form, folder.classes) == ("COCO", ("car", "boat"))
    (image,) = folder
    assert (image.name, image.split, image.image_path.name) == ("a", "val", "a.jpg")
    assert image.boxes == (NamedBox("boat", *map(pytest.approx, (0.2, 0.4, 0.2, 0.4))),)
    told = reasons(folder)
    for reason in ("no area", "a crowd of car", "no category 3", "no bbox", "gone: there is no image gone.jpg"):
        assert reason in told


def test_a_coco_file_of_another_shape_is_reported_and_the_others_are_read(coco: Path) -> None:
    write(coco / "annotations/odd.json", json.dumps({"images": [{}], "annotations": [], "categories": []}))
    write(coco / "annotations/torn.json", '{"images": [], "annotations": [], "categories": [')

    folder = read_folder(coco)

    assert len(folder) == 1
    assert "odd.json: is not what COCO describes" in reasons(folder)
    assert "torn.json: can't be read" in reasons(folder)


# ---- PASCAL VOC

OBJECT = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"


def voc_file(*objects: str, size: str = "<size><width>100</width><height>50</height></size>") -> str:
    return f"<annotation>{size}{''.join(objects)}</annotation>"


@pytest.fixture
def voc(tmp_path: Path, make_image: MakeImage) -> Path:
    for name in ("a", "b", "c"):
        make_image(tmp_path / "JPEGImages" / f"{name}.jpg")
    write(
        tmp_path / "Annotations/a.xml", voc_file(OBJECT.format("WBC", 10, 10, 30, 30), OBJECT.format("RBC", 5, 5, 5, 9))
    )
    write(tmp_path / "Annotations/b.xml", voc_file(OBJECT.format("Platelets", 80, 40, 110, 60), size=""))
    write(tmp_path / "Annotations/c.xml", "<annotation><object>")
    write(tmp_path / "Annotations/d.xml", voc_file())
    return tmp_path


def test_a_voc_folder_gives_fractions_and_classes_by_name(voc: Path) -> None:
    folder = read_folder(voc)

    assert (folder.form, folder.classes) == ("PASCAL VOC", ("Platelets", "RBC", "WBC"))
    assert [one.name for one in folder] == ["a", "b"]
    assert folder.images[0].boxes == (NamedBox("WBC", *map(pytest.approx, (0.2, 0.4, 0.2, 0.4))),)
    assert folder.images[1].boxes == (NamedBox("Platelets", *map(pytest.approx, (0.9, 0.9, 0.2, 0.2))),)
    told = reasons(folder)
    assert "a: a box of RBC has no area" in told
    assert "c: c.xml can't be read" in told
    assert "d: there is no image of this name" in told


def test_an_image_whose_labels_are_all_broken_never_passes_for_an_empty_one(yolo: Path) -> None:
    write(yolo / "labels/a.txt", "garbage x y\n")

    folder = read_folder(yolo)

    assert "a" not in [one.name for one in folder]
    assert "a: none of its label file's lines is a box" in reasons(folder)


def test_a_voc_object_without_a_box_is_reported(voc: Path) -> None:
    write(voc / "Annotations/a.xml", voc_file("<object><name>WBC</name></object>"))

    assert "a: object 1 has no box" in reasons(read_folder(voc))


# ---- none of them


def test_a_folder_of_no_known_form_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as caught:
        read_folder(tmp_path)

    for words in ("PASCAL VOC", "Annotations/*.xml", "COCO", "*.json", "YOLO", "images/ and labels/", str(tmp_path)):
        assert words in str(caught.value)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="there is no file or folder"):
        read_folder(tmp_path / "nowhere")
