"""A trained detector is measured on the test split as pycocotools would measure it."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from labelstream_yolo.scoring import values
from labelstream_yolo.scoring.summary import champion_metrics_from, metrics_of

from .conftest import SIDE, draw_folder

TEST_IMAGES = 36
PROGRAM = Path(__file__).with_name("measuring.py")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = draw_folder(tmp_path_factory.mktemp("data"), {"train": 96, "val": 8, "test": TEST_IMAGES})
    lines = [f"{number}.jpg,film-{number % 3}\n" for number in range(TEST_IMAGES)]
    (folder / "media.csv").write_text("image,medium\n" + "".join(lines))
    (folder / "test" / "labels" / "0.txt").write_text("")  # discs and bars that nobody labelled
    return folder


@pytest.fixture(scope="module")
def content(data: Path, tmp_path_factory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("out")
    ended = subprocess.run([sys.executable, PROGRAM, data, out], check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-4000:]
    return json.loads((out / "measured.json").read_text())


@pytest.fixture(scope="module")
def tested(content) -> values.Tested:
    return values.Tested.model_validate(content["beside"])


def test_map_is_pycocotools_on_a_trained_detectors_boxes(content, tested):
    score = tested.model.score
    assert score.map50 > 0.5  # it did learn
    assert (score.map50, score.map50_95) == pytest.approx(by_pycocotools(content["boxes"][0]), abs=1e-6)


def test_map_is_near_ultralytics_own(content, tested):
    score = tested.model.score
    assert (score.map50, score.map50_95) == pytest.approx(content["ultralytics"], abs=0.03)


def test_each_network_sees_each_test_image_once_at_its_own_size(content):
    seen = {side: sum(count for count, width in content["shown"] if width == side) for side in (SIDE, 64)}
    assert seen == {SIDE: TEST_IMAGES, 64: TEST_IMAGES}


def test_the_boxes_are_in_pixels_of_the_original_images(content, data):
    for said in content["boxes"][0]:
        assert said["size"] == [SIDE, SIDE]
        lines = (data / "test" / "labels" / Path(said["name"]).with_suffix(".txt")).read_text().splitlines()
        expected = []
        for line in lines:
            x, y, w, h = (SIDE * float(word) for word in line.split()[1:])
            expected.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
        assert len(said["true"][0]) == len(expected)
        for corners, known in zip(said["true"][0], expected, strict=True):
            assert corners == pytest.approx(known, abs=0.01)


def test_the_champion_is_measured_on_the_very_same_images_in_the_classes_of_the_dataset(content, tested):
    ours, theirs = content["boxes"]
    assert [some["name"] for some in ours] == [some["name"] for some in theirs]
    champion = tested.champion
    assert champion.model == "old"
    assert champion.unknown_classes == ("disc",)
    disc, bar = champion.evaluation.classes
    assert (disc.boxes, bar.boxes) == tuple(some.boxes for some in tested.model.classes)
    assert disc.map50 == 0
    assert bar.map50 > 0.3  # its `Bar` is its class 0
    assert champion.difference == pytest.approx(tested.model.score.map50 - champion.evaluation.score.map50)
    assert champion.difference_interval.low <= champion.difference <= champion.difference_interval.high
    assert champion_metrics_from(champion).test.images == TEST_IMAGES


def test_a_champion_whose_files_are_gone_is_said_and_ends_nothing(content, tested):
    alone = values.Tested.model_validate(content["unreadable"])
    assert alone.champion is None
    assert "gone" in alone.champion_missing
    assert alone.model == tested.model  # measured again, it is the same to the last digit, intervals too


def test_the_media_of_the_images_are_slices(tested):
    sources = {some.name: some.images for some in tested.model.slices if some.by == "source"}
    assert sources == {"film-0": 12, "film-1": 12, "film-2": 12}


def test_events_carry_the_figures_with_their_intervals(tested):
    said = metrics_of(tested.model)
    assert said.images == TEST_IMAGES
    assert set(said.per_class) == {"disc", "bar"}
    assert said.map50_interval.low <= said.map50 <= said.map50_interval.high


def by_pycocotools(boxes: list[dict[str, Any]]) -> tuple[float, float]:
    """Return mAP50 and mAP50-95 of what was collected, with 300 detections an image."""
    images = [{"id": number} for number in range(len(boxes))]
    true: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for number, said in enumerate(boxes):
        for corners, class_id in zip(*said["true"], strict=True):
            true.append(annotation(len(true) + 1, number, class_id, corners))
        for corners, class_id, confidence in zip(*said["found"], strict=True):
            found.append(annotation(len(found) + 1, number, class_id, corners) | {"score": confidence})
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(indexed(images, true), indexed(images, found), "bbox")
        evaluation.params.maxDets = [300]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, 0]
    return precision[0].mean(), precision.mean()


def annotation(number: int, image: int, class_id: int, corners: list[float]) -> dict[str, Any]:
    left, top, right, bottom = corners
    box = [left, top, right - left, bottom - top]
    return {
        "id": number,
        "image_id": image,
        "category_id": class_id,
        "bbox": box,
        "area": box[2] * box[3],
        "iscrowd": 0,
    }


def indexed(images: list[dict[str, int]], annotations: list[dict[str, Any]]) -> COCO:
    dataset = COCO()
    dataset.dataset = {"images": images, "categories": [{"id": 0}, {"id": 1}], "annotations": annotations}
    dataset.createIndex()
    return dataset
