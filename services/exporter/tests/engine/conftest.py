"""Two small networks: one untrained whose answers are made decided (quick), one that learned drawn scenes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from exporter.engine.contract import ExportSpec, ProofImage
from labelstream.labels import Box
from labelstream_yolo.architecture import Architecture

SIDE = 64
NETWORK = {
    "nc": 80,
    "width_multiple": 0.25,
    "backbone": [[-1, 1, "Conv", [32, 3, 2]], [-1, 1, "Conv", [64, 3, 2]], [-1, 1, "C3k2", [64, False, 0.5]]],
    "head": [[[-1], 1, "Detect", ["nc"]]],
}
# Scores far apart from anchor to anchor: what is found does not hang on rounding.
MAKE_WEIGHTS = """
import sys
from pathlib import Path
from labelstream_yolo.offline import prepare_ultralytics
out = Path(sys.argv[1])
prepare_ultralytics(out / "ultralytics", threads=1)
import torch
from labelstream_yolo.architecture import read_architecture
from labelstream_yolo.weights import build_model, save_weights
torch.manual_seed(3)
model = build_model(read_architecture(out / "architecture.json")).eval()
images = torch.rand(8, 3, 64, 64)
score = model.model[-1].cv3[0][-1]
score.weight.data.normal_(0, 1)
raw = model(images)[1]["scores"].detach()
score.weight.data *= 3 / raw.std()
score.bias.data -= model(images)[1]["scores"].mean(dim=(0, 2)).detach() + 4
save_weights(model, out / "weights.safetensors")
"""


@pytest.fixture(scope="session")
def decided(tmp_path_factory) -> Path:
    """An untrained network of two classes and six images of 96 × 72 that it finds something in."""
    folder = tmp_path_factory.mktemp("decided")
    architecture = Architecture(model=NETWORK, image_size=SIDE, names=("car", "truck"), versions={"torch": "2"})
    (folder / "architecture.json").write_text(architecture.model_dump_json())
    subprocess.run([sys.executable, "-c", MAKE_WEIGHTS, str(folder)], check=True)
    rng = np.random.default_rng(5)
    for number in range(6):
        image = rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)
        resized = cv2.resize(image, (96, 72), interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(folder / f"{number}.png"), resized)
    return folder


@pytest.fixture(scope="session")
def learned(tmp_path_factory) -> Path:
    """A trained network of two classes, with its train and test images and labels."""
    folder = tmp_path_factory.mktemp("learned")
    program = Path(__file__).with_name("learning.py")
    subprocess.run([sys.executable, str(program), str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture
def spec(decided, tmp_path) -> ExportSpec:
    """An order for the untrained network as ONNX."""
    return ExportSpec(
        format="onnx-fp32",
        weights=decided / "weights.safetensors",
        architecture=decided / "architecture.json",
        images=tuple(ProofImage(path=path) for path in sorted(decided.glob("*.png"))),
        golden=2,
        out_dir=tmp_path / "out",
    )


@pytest.fixture
def learned_spec(learned, tmp_path) -> ExportSpec:
    """An order for the trained network as ONNX, with images to calibrate by."""
    return ExportSpec(
        format="onnx-fp32",
        weights=learned / "weights.safetensors",
        architecture=learned / "architecture.json",
        images=labelled(learned / "test"),
        calibration=tuple(sorted((learned / "train" / "images").iterdir()))[:32],
        golden=2,
        out_dir=tmp_path / "out",
    )


def labelled(split: Path) -> tuple[ProofImage, ...]:
    """Read the images of a YOLO folder with their boxes."""
    images = sorted((split / "images").iterdir())
    return tuple(ProofImage(path=path, boxes=_boxes(split / "labels" / f"{path.stem}.txt")) for path in images)


def _boxes(labels: Path) -> tuple[Box, ...]:
    rows = (line.split() for line in labels.read_text().splitlines())
    return tuple(Box(class_id=int(c), x=float(x), y=float(y), w=float(w), h=float(h)) for c, x, y, w, h in rows)
