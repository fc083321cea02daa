"""What is exported of a dataset is what our own importers read: the same boxes, classes, splits, media and images."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from labelstream.classes import ClassSchema
from labelstream.labels import Box, yolo_lines
from labelstream.schemas import load_named_schema
from labelstream.values import SPLITS, Position, Split, sha256_hex
from labelstream_cli.importers import ImportedFolder, published_splits, read_folder, unpacked
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.exports import FORMS, Form, export
from labelstream_datasets.layout.interrupted import FINISHED

TOLERANCE = 1e-6  # what stored labels are rounded to; YOLO and Azaion hold that
PIXELS: dict[Form, float] = {"coco": 0.0001, "voc": 0.02}  # a side, or a centre, that rounded corners may move
ODD = ("pick-up truck", 'a "quoted" one', "[brackets], {braces}: #1", "<b>&amp;</b>", "Панцир 装甲 🚛", "никем")
AZAION = ("Truck", "Vehicle(Wint)", "Smoke(Night)")
KINDS = [("jpg", "RGB"), ("png", "RGBA"), ("webp", "RGB"), ("png", "L"), ("png", "P"), ("bmp", "RGB"), ("tif", "RGB")]


@dataclass(frozen=True)
class Drawn:
    """A sample of a dataset that only lies on disk."""

    split: Split
    boxes: Sequence[Box]
    variant: int = 0
    size: tuple[int, int] = (64, 48)
    kind: tuple[str, str] = KINDS[0]


@dataclass(frozen=True)
class OnDisk:
    folder: Path
    description: DatasetDescription
    boxes: dict[str, list[tuple[str, float, float, float, float]]]  # by stem
    splits: dict[str, Split]
    sizes: dict[str, tuple[int, int]]


def lay_out(folder: Path, drawn: Sequence[Drawn], classes: Sequence[str] = ODD) -> OnDisk:
    """Write a folder as `materialise` leaves it; variants follow their original."""
    boxes: dict[str, Any] = {}
    splits: dict[str, Split] = {}
    sizes: dict[str, tuple[int, int]] = {}
    media = [("image", "medium")]
    image = -1  # counts originals; variants follow theirs
    for split in SPLITS:
        for kind in ("images", "labels"):
            (folder / split / kind).mkdir(parents=True)
    for one in drawn:
        image += one.variant == 0
        stem = f"{sha256_hex(str(image).encode())[:16]}-{'0' * 8}_{one.variant}"
        suffix, mode = one.kind
        Image.new(mode, one.size).save(folder / one.split / "images" / f"{stem}.{suffix}")
        (folder / one.split / "labels" / f"{stem}.txt").write_text(yolo_lines(one.boxes))
        media.append((f"{stem}.{suffix}", f"films/«{one.split}», a.mp4"))
        boxes[stem] = [(classes[box.class_id], box.x, box.y, box.w, box.h) for box in one.boxes]
        splits[stem] = one.split
        sizes[stem] = one.size
    description = DatasetDescription(
        id=sha256_hex(repr(drawn).encode()),
        project="default",
        cut=Position(stream="annotation-events", offset=0),
        class_schema=ClassSchema(name="odd", classes=tuple(classes)),
        recipe="a" * 64,
        counts={},
    )
    with (folder / "media.csv").open("w", newline="") as file:
        csv.writer(file).writerows(media)
    (folder / FINISHED).write_text(f"{description.id} {' '.join(SPLITS)}")
    return OnDisk(folder, description, boxes, splits, sizes)


def box(class_id: int, *xywh: float) -> Box:
    x, y, w, h = xywh
    return Box(class_id=class_id, x=x, y=y, w=w, h=h)


FEW = (
    Drawn("train", [box(0, 0.5, 0.5, 0.25, 0.125), box(1, 0.1, 0.9, 0.2, 0.2)]),
    Drawn("train", [box(0, 0.5, 0.5, 0.3, 0.1)], variant=1),
    Drawn("train", [], variant=2),
    Drawn("train", [box(2, 0.333333, 0.666667, 0.000003, 0.1)], kind=KINDS[1]),
    Drawn("val", [box(2, 0.5, 0.5, 1, 1)], kind=KINDS[2]),
    Drawn("val", [], kind=KINDS[3]),
    Drawn("test", [box(1, 0.7, 0.2, 0.1, 0.3)] * 2, kind=KINDS[4]),
    Drawn("test", [box(0, 0.700001, 0.2, 0.1, 0.3)], kind=KINDS[5]),
    Drawn("test", [box(0, 0.700001, 0.2, 0.1, 0.3)], kind=KINDS[6], size=(1, 7)),
)


@contextlib.contextmanager
def read_back(target: Path) -> Iterator[ImportedFolder]:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(unpacked(target))[0] if target.suffix == ".zip" else target
        yield read_folder(folder, published_splits(folder))


def stem_of(form: Form, name: str) -> str:
    """Return what the dataset calls an image that an importer calls `name`."""
    stem = name.rpartition("/")[2]
    return f"{stem}_0" if form == "azaion" else stem


def expect_the_same(form: Form, dataset: OnDisk, read: ImportedFolder, stems: Sequence[str]) -> None:
    assert read.problems == ()
    found = {stem_of(form, one.name): one for one in read}
    assert sorted(found) == sorted(stems)
    for stem in stems:
        assert found[stem].split == dataset.splits[stem]
        assert len(found[stem].boxes) == len(dataset.boxes[stem])
        across, down = (TOLERANCE + PIXELS.get(form, 0) / side for side in dataset.sizes[stem])
        for read_box, (name, x, y, w, h) in zip(found[stem].boxes, dataset.boxes[stem], strict=True):
            assert read_box.name == name
            assert (read_box.x, read_box.w) == pytest.approx((x, w), abs=across)
            assert (read_box.y, read_box.h) == pytest.approx((y, h), abs=down)


def wanted(form: Form, dataset: OnDisk, *, variants: bool = True) -> list[str]:
    """Return what an importer should find; ours makes its own variants of what Azaion holds."""
    originals_only = form == "azaion" or not variants
    return [stem for stem in dataset.boxes if stem.endswith("_0") or not originals_only]


@pytest.fixture
def few(tmp_path: Path) -> OnDisk:
    return lay_out(tmp_path / "dataset", FEW)


@pytest.fixture
def azaion(tmp_path: Path) -> OnDisk:
    return lay_out(tmp_path / "azaion", FEW, AZAION)


@pytest.mark.parametrize("suffix", ["", ".zip"], ids=["folder", "zip"])
@pytest.mark.parametrize("variants", [True, False], ids=["variants", "originals"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_back_as_it_was(
    form: Form, variants: bool, suffix: str, few: OnDisk, azaion: OnDisk, tmp_path: Path
) -> None:
    dataset = azaion if form == "azaion" else few
    target = tmp_path / f"out{suffix}"
    said = export(dataset.folder, dataset.description, form, target, variants=variants)
    with read_back(target) as read:
        stems = wanted(form, dataset, variants=variants)
        expect_the_same(form, dataset, read, stems)
        whole = dataset.description.class_schema.classes
        assert read.classes == (load_named_schema("azaion").classes if form == "azaion" else whole)
        media = {stem_of(form, one.name): one.medium for one in read}
        assert len(set(media.values())) == 3
        assert media[stems[0]] == "films/«train», a.mp4"
    assert (said.target, said.images) == (target, len(FEW) if variants else len(FEW) - 2)


sides = st.integers(1, 1_000_000)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    """A box as it is stored: six decimals, within the image as far as these can say."""
    w, h = draw(sides) / 1e6, draw(sides) / 1e6
    x, y = draw(st.floats(w / 2, 1 - w / 2)), draw(st.floats(h / 2, 1 - h / 2))
    return Box(class_id=draw(st.integers(0, 2)), x=x, y=y, w=w, h=h).rounded()


@given(
    drawn=st.lists(
        st.builds(
            Drawn,
            split=st.sampled_from(SPLITS),
            boxes=st.lists(boxes(), max_size=4),
            size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
            kind=st.sampled_from(KINDS),
        ),
        min_size=1,
        max_size=4,
    ),
    form=st.sampled_from(FORMS),
    suffix=st.sampled_from(["", ".zip"]),
)
@settings(max_examples=30, deadline=None)
def test_whatever_boxes_there_are_come_back(drawn: list[Drawn], form: Form, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        dataset = lay_out(Path(directory) / "dataset", drawn, AZAION if form == "azaion" else ODD)
        target = Path(directory) / f"out{suffix}"
        export(dataset.folder, dataset.description, form, target)
        with read_back(target) as read:
            stems = [stem_of(form, one.name) for one in read]
            assert len(stems) == len(drawn)
            for one in read:
                stem = stem_of(form, one.name)
                assert len(one.boxes) + sum(stem_of(form, p.name) == stem for p in read.problems) == len(
                    dataset.boxes[stem]
                )
            if not read.problems:  # a box a millionth wide at the very edge may have no area left
                expect_the_same(form, dataset, read, wanted(form, dataset))


@pytest.mark.parametrize("split", SPLITS)
def test_pycocotools_loads_it_and_finds_the_truth_perfect(split: Split, few: OnDisk, tmp_path: Path) -> None:
    export(few.folder, few.description, "coco", tmp_path / "coco")
    path = tmp_path / f"coco/annotations/instances_{split}.json"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        truth = COCO(str(path))
        detections = [{**one, "score": 0.9} for one in truth.dataset["annotations"]]
        judged = COCOeval(truth, truth.loadRes(detections), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
        truth.info()
    assert judged.stats[0] == pytest.approx(1.0)
    assert few.description.id in printed.getvalue()
    assert [one["name"] for one in truth.loadCats(truth.getCatIds())] == list(ODD)
    assert min(truth.getCatIds()) == 1
    for image in truth.loadImgs(truth.getImgIds()):
        assert Image.open(tmp_path / "coco/images" / split / image["file_name"]).size == (
            image["width"],
            image["height"],
        )


def test_images_of_coco_keep_their_ids_whatever_is_exported_of_the_dataset(few: OnDisk, tmp_path: Path) -> None:
    def ids(name: str, **options: Any) -> dict[str, int]:
        export(few.folder, few.description, "coco", tmp_path / name, **options)
        files = (tmp_path / name / "annotations").glob("*.json")
        return {one["file_name"]: one["id"] for file in files for one in json.loads(file.read_text())["images"]}

    everything = ids("all")
    assert len(set(everything.values())) == len(FEW)
    assert ids("test", splits=["test"]).items() <= everything.items()
    assert ids("originals", variants=False).items() <= everything.items()


def test_what_an_original_turned_on_its_side_shows_is_measured_as_it_is_seen(tmp_path: Path) -> None:
    dataset = lay_out(tmp_path / "dataset", [Drawn("train", [box(0, 0.5, 0.25, 0.5, 0.5)])])
    (path,) = (dataset.folder / "train/images").iterdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(path, exif=exif)
    export(dataset.folder, dataset.description, "coco", tmp_path / "coco")
    content = json.loads((tmp_path / "coco/annotations/instances_train.json").read_text())
    assert (content["images"][0]["width"], content["images"][0]["height"]) == (30, 40)
    assert content["annotations"][0]["bbox"] == [7.5, 0, 15, 20]


@pytest.mark.parametrize("split", SPLITS)
def test_ultralytics_takes_an_export_of_one_split(split: Split, few: OnDisk, tmp_path: Path) -> None:
    export(few.folder, few.description, "yolo", tmp_path / "yolo", splits=[split])
    # In a process of its own: ultralytics changes how Pillow opens images, for everybody.
    read = (
        "import json, sys; from ultralytics.data.utils import check_det_dataset; "
        "print('FOUND', json.dumps(check_det_dataset(sys.argv[1], autodownload=False), default=str))"
    )
    done = subprocess.run(
        [sys.executable, "-c", read, tmp_path / "yolo/data.yaml"],
        env={**os.environ, "YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0", "YOLO_CONFIG_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.partition("FOUND")[2])
    assert {found["train"], found["val"], found[split]} == {str(tmp_path / f"yolo/{split}/images")}
    assert found["names"] == {str(number): name for number, name in enumerate(ODD)}
