"""The same graph on the same images: in every runtime, our answers are those of the training library."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import openvino
import pytest

from inference.answering.images import decode
from inference.engine.backends import RuntimeName
from inference.engine.choosing import Engines
from inference.engine.contract import Engine
from inference.engine.detecting import detect
from inference.engine.geometry import Found, ImageLimits
from labelstream.bundle import Artifact, Manifest, SealedFile, Thresholds
from labelstream.classes import ClassSchema
from labelstream.events.training import Metrics

HERE = Path(__file__).parent
BCCD = HERE.parents[2] / "shared" / "data" / "bccd"  # photographs of blood cells
SIDE, CELLS_SIDE = 128, 192
# Low, for a network that learned for half a minute: how sure it is differs from one kind of processor to another.
THRESHOLDS = Thresholds(confidence=0.1, iou=0.45, max_detections=300)
SIZES = [(128, 128), (97, 211), (640, 480), (333, 77), (1280, 719), (31, 45), (500, 3), (129, 127)]  # width, height
MAX_PX, MAX_SCORE = 1.0, 0.01
WAYS = [("onnx", "onnxruntime"), ("onnx", "openvino"), ("openvino", "openvino")]  # the file's family, what runs it


def run(program: str, *arguments: object) -> None:
    """Run a program of this folder: ultralytics stays out of the tests' own process."""
    command = [sys.executable, str(HERE / program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """Images of many sizes, a random detector's graph, and what ultralytics finds with it."""
    folder = tmp_path_factory.mktemp("agreement")
    random = np.random.default_rng(3)
    for number, (width, height) in enumerate(SIZES):
        image = cv2.resize(random.integers(0, 256, (9, 9, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{number}.png"), image)
    run("ultralytics_answers.py", folder, THRESHOLDS.confidence, THRESHOLDS.iou)
    return folder


@pytest.fixture(scope="module")
def cells(tmp_path_factory) -> Path:
    """A graph that learned blood cells, and what ultralytics finds with it in the test photographs."""
    if not BCCD.is_dir():
        pytest.skip(f"there are no photographs at {BCCD}")
    folder = tmp_path_factory.mktemp("cells")
    run("learning_cells.py", BCCD, folder, THRESHOLDS.confidence, THRESHOLDS.iou)
    return folder


def opened(family: str, runtime: RuntimeName, graph: Path, side: int) -> Engine:
    """Open an ONNX graph of three classes in a runtime, as it is or as OpenVINO's files."""
    content = graph.read_bytes()
    if family == "openvino":
        content = packed(content, graph.parent)
    digest = "0" * 64
    sealed = SealedFile(
        file="x.age", sealed_sha256=digest, sealed_bytes=1, small_bytes=1, small_sha256=digest,
        plain_sha256=digest, plain_bytes=1,
    )  # fmt: skip
    facts = Artifact(
        **sealed.model_dump(), name=f"{family}-fp32", format=family, precision="fp32", output="raw-yolo",
        input="float32-nchw-rgb-0-1", packed="tar" if family == "openvino" else "plain",
        hints={"INFERENCE_PRECISION_HINT": "f32"} if family == "openvino" else {},
    )  # fmt: skip
    metrics = Metrics(map50=0, map50_95=0, precision=0, recall=0, images=1)
    manifest = Manifest(
        model="m1", project="p", job="j", dataset_id="d", created_ms=1, image_size=side, thresholds=THRESHOLDS,
        class_schema=ClassSchema(name="c", classes=("a", "b", "c")), validation=metrics, test=metrics, versions={},
        recipient="age1", artifacts=(facts,), golden=sealed.model_copy(update={"file": "golden.age"}),
    )  # fmt: skip
    return Engines(threads=2, runtimes=(runtime,)).open_fastest(manifest, lambda _: content)


def packed(graph: bytes, folder: Path) -> bytes:
    """The same graph as OpenVINO's files, in one archive."""
    openvino.save_model(openvino.Core().read_model(graph), folder / "model.xml", compress_to_fp16=False)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in ("model.xml", "model.bin"):
            tar.add(folder / name, arcname=name)
    return archive.getvalue()


def compared(engine: Engine, images: Iterable[Path], folder: Path, *, alone: bool) -> int:
    """Hold our answers beside ultralytics'; return how many boxes of theirs there were."""
    answers, total = json.loads((folder / "answers.json").read_text()), 0
    for path in images:
        image = decode(path.read_bytes(), ImageLimits(1 << 24, 1 << 24))
        total += agree(path.name, answers.pop(path.name), detect(engine, image, THRESHOLDS, alone=alone).found)
    assert not answers
    return total


def agree(name: str, theirs, ours: Found) -> int:
    """Fail where a box is not the other side's within the limits, unless it is one that may fall on either side."""
    free = set(range(len(ours)))
    nearly = THRESHOLDS.confidence + MAX_SCORE
    for box, score, class_id in zip(theirs["boxes"], theirs["scores"], theirs["classes"], strict=True):
        near = [i for i in free if ours.classes[i] == class_id and abs(ours.scores[i] - score) <= MAX_SCORE]
        partner = min(near, key=lambda i: np.abs(ours.boxes[i] - box).max(), default=None)
        if partner is None or np.abs(ours.boxes[partner] - box).max() > MAX_PX:
            assert score <= nearly, f"{name}: nothing of ours at {box}, {score}"
        else:
            free.discard(partner)
    extra = [float(ours.scores[i]) for i in free]
    assert all(score <= nearly for score in extra), f"{name}: {extra}"
    return len(theirs["boxes"])


@pytest.mark.slow
@pytest.mark.parametrize("alone", [False, True], ids=["one of many", "alone"])
@pytest.mark.parametrize(("family", "runtime"), WAYS)
def test_boxes_and_scores_agree_with_ultralytics_on_every_size(
    drawn: Path, family: str, runtime: RuntimeName, alone: bool
) -> None:
    engine = opened(family, runtime, drawn / "model.onnx", SIDE)
    assert compared(engine, sorted(drawn.glob("*.png")), drawn, alone=alone) >= 20


@pytest.mark.slow
@pytest.mark.timeout(900)  # a detector learns first
@pytest.mark.parametrize(("family", "runtime"), WAYS)
def test_boxes_and_scores_agree_with_ultralytics_on_photographs(cells: Path, family: str, runtime: RuntimeName) -> None:
    names = (BCCD / "splits" / "test.txt").read_text().split()
    engine = opened(family, runtime, cells / "model.onnx", CELLS_SIDE)
    boxes = compared(engine, [BCCD / "JPEGImages" / f"{name}.jpg" for name in names], cells, alone=False)
    assert boxes >= 5 * len(names), f"only {boxes} boxes were compared"
