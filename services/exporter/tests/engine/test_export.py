"""Real exports in real subprocesses, of a small network whose untrained answers are made decided."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest

from exporter.engine.contract import ExportSpec
from exporter.engine.process import EngineFailedError, run_export
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
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    architecture = Architecture(model=NETWORK, image_size=SIDE, names=("car", "truck"), versions={"torch": "2"})
    (folder / "architecture.json").write_text(architecture.model_dump_json())
    subprocess.run([sys.executable, "-c", MAKE_WEIGHTS, str(folder)], check=True)
    rng = np.random.default_rng(5)
    for number in range(6):
        image = rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)
        resized = cv2.resize(image, (96, 72), interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(folder / f"{number}.png"), resized)
    return folder


@pytest.fixture
def spec(trained, tmp_path) -> ExportSpec:
    return ExportSpec(
        weights=trained / "weights.safetensors",
        architecture=trained / "architecture.json",
        test_images=tuple(sorted(trained.glob("*.png"))),
        golden=2,
        out_dir=tmp_path,
    )


@pytest.mark.slow
async def test_an_export_agrees_with_its_weights_and_keeps_golden_answers(spec, trained):
    result = await run_export(spec)

    assert result.agreement.images == 6
    assert result.agreement.boxes > 6
    assert result.agreement.unmatched == 0
    assert result.agreement.max_box_px < 0.01
    assert result.agreement.max_score < 0.001
    assert result.names == ("car", "truck")
    assert result.versions["torch"] == "2"  # of the training; the export adds its own
    assert "onnxruntime" in result.versions
    assert len(result.golden) == 2
    for answer in result.golden:
        assert answer.image in spec.test_images
        assert answer.boxes
        assert list(answer.boxes) == sorted(answer.boxes, key=lambda box: -(box.confidence or 0))
    said = json.loads((spec.out_dir / "agreement.json").read_text())
    assert said == result.agreement.model_dump()


@pytest.mark.slow
async def test_the_artifact_takes_any_batch_of_squares_and_is_the_same_each_time(spec, tmp_path):
    result = await run_export(spec)

    onnx.checker.check_model(onnx.load(result.artifact))
    session = onnxruntime.InferenceSession(result.artifact)
    (given,), (answered,) = session.get_inputs(), session.get_outputs()
    assert given.shape[1:] == [3, SIDE, SIDE]
    images = np.random.default_rng(1).random((3, 3, SIDE, SIDE), dtype=np.float32)
    together = session.run([answered.name], {given.name: images})[0]
    alone = [session.run([answered.name], {given.name: image[None]})[0] for image in images]
    assert together.shape == (3, 4 + 2, (SIDE // 4) ** 2)
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-4)

    again = await run_export(spec.model_copy(update={"out_dir": tmp_path / "again"}))
    assert again.artifact.read_bytes() == result.artifact.read_bytes()


async def test_weights_of_another_architecture_are_refused(spec, trained, tmp_path):
    other = tmp_path / "architecture.json"
    architecture = Architecture.model_validate_json((trained / "architecture.json").read_bytes())
    other.write_text(architecture.model_copy(update={"names": ("car", "truck", "bus")}).model_dump_json())
    with pytest.raises(EngineFailedError, match=r"weights-unreadable: .*do not fit"):
        await run_export(spec.model_copy(update={"architecture": other}))


async def test_a_file_that_is_no_image_is_told(spec, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")
    with pytest.raises(EngineFailedError, match=r"images-unreadable: .*bad\.jpg"):
        await run_export(spec.model_copy(update={"test_images": (bad,)}))


def test_the_service_itself_imports_no_torch():
    code = "import sys, exporter.engine.process; sys.exit('torch' in sys.modules or 'ultralytics' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
