"""The same graph on the same images: our answers are those of the training library."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference.answering.images import decode
from inference.engine.adapters.onnx import OnnxEngine, open_onnx
from inference.engine.detecting import detect
from inference.engine.geometry import ImageLimits
from labelstream.bundle import Thresholds

SCRIPT = Path(__file__).with_name("ultralytics_answers.py")
SIDE, CLASSES = 128, 3
THRESHOLDS = Thresholds(confidence=0.25, iou=0.45, max_detections=300)
SIZES = [(128, 128), (97, 211), (640, 480), (333, 77), (1280, 719), (31, 45), (500, 3), (129, 127)]  # width, height
MAX_PX, MAX_SCORE = 1.0, 0.01


@dataclass(frozen=True)
class Shape:
    """What opening a graph needs to know of its manifest."""

    image_size: int = SIDE
    classes: tuple[str, ...] = ("a", "b", "c")

    @property
    def class_schema(self) -> Shape:
        """Where a manifest keeps its classes."""
        return self


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Images of many sizes, a random detector's graph, and what ultralytics finds with it."""
    folder = tmp_path_factory.mktemp("agreement")
    random = np.random.default_rng(3)
    for number, (width, height) in enumerate(SIZES):
        image = cv2.resize(random.integers(0, 256, (9, 9, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{number}.png"), image)
    command = [sys.executable, str(SCRIPT), str(folder), str(THRESHOLDS.confidence), str(THRESHOLDS.iou)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def engine(folder: Path) -> OnnxEngine:
    """Our engine with the same graph."""
    return open_onnx(Shape(), "onnx-fp32", (folder / "model.onnx").read_bytes())


@pytest.mark.slow
def test_boxes_and_scores_agree_with_ultralytics_on_every_size(folder: Path, engine: OnnxEngine) -> None:
    answers = json.loads((folder / "answers.json").read_text())
    assert len(answers) == len(SIZES)
    total = 0
    for name, theirs in answers.items():
        image = decode((folder / name).read_bytes(), ImageLimits(1 << 24, 1 << 24))
        ours = detect(engine, image, THRESHOLDS).found
        free = set(range(len(ours)))
        for box, score, class_id in zip(theirs["boxes"], theirs["scores"], theirs["classes"], strict=True):
            total += 1
            near = [i for i in free if ours.classes[i] == class_id and abs(ours.scores[i] - score) <= MAX_SCORE]
            partner = min(near, key=lambda i: np.abs(ours.boxes[i] - box).max(), default=None)
            if partner is None or np.abs(ours.boxes[partner] - box).max() > MAX_PX:
                assert score <= THRESHOLDS.confidence + MAX_SCORE, f"{name}: nothing of ours at {box}, {score}"
            else:
                free.discard(partner)
        extra = [float(ours.scores[i]) for i in free]
        assert all(score <= THRESHOLDS.confidence + MAX_SCORE for score in extra), f"{name}: {extra}"
    assert total >= 20, f"only {total} boxes were compared"
