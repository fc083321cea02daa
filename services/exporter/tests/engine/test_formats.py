"""Every format that a CPU can build is built of a trained network, run, and held beside the trained weights."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest

from exporter.engine.contract import ExportResult, ExportSpec

from .conftest import labelled

PROGRAM = Path(__file__).with_name("exporting.py")
FLOATS = ("onnx-fp32", "onnx-fp32-b4", "onnx-fp32-nms", "openvino-fp32", "torchscript-fp32")
EXACT = (*FLOATS, "onnx-fp32-u8", "onnx-fp32-u8-nms-b4", "openvino-fp32-u8")
EIGHT_BITS = ("onnx-int8", "onnx-int8-nms-b1", "openvino-int8", "onnx-int8-u8", "openvino-int8-u8")
AGAIN = ("onnx-fp32", "onnx-int8-u8", "openvino-int8", "torchscript-fp32")  # built twice, first of all
FLOATS_IN, BYTES_IN = "float32-nchw-rgb-0-1", "uint8-nhwc-bgr"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(learned, tmp_path_factory) -> dict[str, ExportResult]:
    folder = tmp_path_factory.mktemp("formats")
    base = ExportSpec(
        format="onnx-fp32",
        weights=learned / "weights.safetensors",
        architecture=learned / "architecture.json",
        images=labelled(learned / "test"),
        calibration=tuple(sorted((learned / "train" / "images").iterdir()))[:32],
        golden=2,
        out_dir=folder,
    )
    rest = [name for name in (*EXACT, *EIGHT_BITS, "openvino-bf16") if name not in AGAIN]
    return exported(base, [*AGAIN, *rest], folder / "once") | {
        f"again {name}": result for name, result in exported(base, AGAIN, folder / "again").items()
    }


def exported(base: ExportSpec, names: Sequence[str], folder: Path) -> dict[str, ExportResult]:
    """Export several formats in one new process: OpenVINO and torch number what they write through the process."""
    folder.mkdir()
    specs = [base.model_copy(update={"format": name, "out_dir": folder / name}) for name in names]
    (folder / "specs.json").write_text(json.dumps([each.model_dump(mode="json") for each in specs]))
    subprocess.run([sys.executable, PROGRAM, folder / "specs.json", folder / "results.json"], check=True)
    said = json.loads((folder / "results.json").read_text())
    return {name: ExportResult.model_validate(each) for name, each in zip(names, said, strict=True)}


@pytest.mark.parametrize("name", EXACT)
def test_a_format_in_full_precision_answers_as_its_weights_do(results, name):
    agreement = results[name].facts.agreement
    assert agreement.images == 16
    assert agreement.boxes >= 24
    assert agreement.unmatched == 0
    assert agreement.max_box_px < 0.01
    assert agreement.max_score < 0.001
    assert agreement.trained_map50 > 0.7
    assert agreement.map50 == pytest.approx(agreement.trained_map50, abs=0.001)
    assert agreement.map50_95 == pytest.approx(agreement.trained_map50_95, abs=0.001)


@pytest.mark.parametrize("name", EIGHT_BITS)
def test_a_format_in_eight_bits_agrees_but_not_exactly(results, name):
    facts = results[name].facts
    agreement = facts.agreement
    assert 0 < agreement.max_box_px < 6
    assert 0 < agreement.max_score < 0.2
    assert agreement.unmatched <= 0.1 * agreement.boxes
    assert agreement.trained_map50_95 - agreement.map50_95 < 0.03
    assert facts.calibration.images == 32
    assert facts.versions["onnxruntime"]


def test_bfloat16_is_proved_where_the_processor_can_compute_in_it(results):
    facts = results["openvino-bf16"].facts
    assert facts.hints == {"INFERENCE_PRECISION_HINT": "bf16"}
    if facts.agreement is None:
        assert "computes in f32" in facts.unproven
    else:
        assert 0 < facts.agreement.max_score < 0.1
        assert facts.agreement.trained_map50_95 - facts.agreement.map50_95 < 0.02


@pytest.mark.parametrize(
    ("name", "taken", "output", "batch", "packed"),
    [
        ("onnx-fp32", FLOATS_IN, "raw-yolo", None, "plain"),
        ("onnx-fp32-b4", FLOATS_IN, "raw-yolo", 4, "plain"),
        ("onnx-fp32-nms", FLOATS_IN, "boxes-score-class", None, "plain"),
        ("onnx-int8-nms-b1", FLOATS_IN, "boxes-score-class", 1, "plain"),
        ("onnx-fp32-u8-nms-b4", BYTES_IN, "boxes-score-class", 4, "plain"),
        ("onnx-int8-u8", BYTES_IN, "raw-yolo", None, "plain"),
        ("openvino-int8", FLOATS_IN, "raw-yolo", None, "tar"),
        ("openvino-fp32-u8", BYTES_IN, "raw-yolo", None, "tar"),
        ("torchscript-fp32", FLOATS_IN, "raw-yolo", None, "plain"),
    ],
)
def test_the_facts_say_how_a_file_is_to_be_read(results, name, taken, output, batch, packed):
    facts = results[name].facts
    assert (facts.name, facts.input) == (name, taken)
    assert (facts.output, facts.batch, facts.packed) == (output, batch, packed)


@pytest.mark.parametrize("name", AGAIN)
def test_the_same_weights_give_the_same_bytes(results, name):
    assert digest(results[name].artifact) == digest(results[f"again {name}"].artifact)


def test_golden_answers_are_those_of_the_trained_weights_whatever_the_format(results):
    assert results["onnx-int8"].golden == results["onnx-fp32"].golden
    assert len(results["onnx-fp32"].golden) == 2
    for answer in results["onnx-fp32"].golden:
        assert answer.boxes
        assert list(answer.boxes) == sorted(answer.boxes, key=lambda box: -(box.confidence or 0))


def test_the_worst_image_is_drawn(results, learned):
    worst = results["onnx-int8"].facts.agreement.worst
    images = {digest(path): path for path in (learned / "test" / "images").iterdir()}
    image, picture = cv2.imread(str(images[worst.image])), cv2.imread(str(results["onnx-int8"].picture))
    assert picture.shape[1] == 640
    shown = cv2.resize(picture[:640], (96, 96), interpolation=cv2.INTER_AREA)
    far = {path: np.abs(shown - cv2.imread(str(path)).astype(float)).mean() for path in images.values()}
    assert min(far, key=far.__getitem__) == images[worst.image]
    assert image.shape == (96, 96, 3)


def test_a_raw_graph_takes_any_batch_of_squares(results):
    onnx.checker.check_model(onnx.load(results["onnx-fp32"].artifact))
    session = onnxruntime.InferenceSession(results["onnx-fp32"].artifact)
    (given,), (answered,) = session.get_inputs(), session.get_outputs()
    images = np.random.default_rng(1).random((3, 3, 96, 96), dtype=np.float32)
    together = session.run([answered.name], {given.name: images})[0]
    alone = [session.run([answered.name], {given.name: image[None]})[0] for image in images]
    assert together.shape == (3, 4 + 2, (96 // 8) ** 2)
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-3)


def test_a_graph_that_takes_bytes_answers_them_as_the_other_answers_their_floats(results, learned):
    pixels = np.stack([cv2.imread(str(path)) for path in sorted((learned / "test" / "images").iterdir())[:3]])
    floats = np.ascontiguousarray(pixels[..., ::-1].transpose(0, 3, 1, 2)).astype(np.float32) / 255
    of_bytes = onnxruntime.InferenceSession(results["onnx-fp32-u8"].artifact).run(None, {"images": pixels})[0]
    of_floats = onnxruntime.InferenceSession(results["onnx-fp32"].artifact).run(None, {"images": floats})[0]
    np.testing.assert_allclose(of_bytes, of_floats, atol=1e-3)
    assert of_bytes[:, 4:].max() > 0.25


def test_a_graph_that_suppresses_answers_every_image_of_a_batch(results, learned):
    paths = sorted((learned / "test" / "images").iterdir())[:4]
    pixels = [cv2.imread(str(path))[..., ::-1].transpose(2, 0, 1) for path in paths]
    images = np.stack(pixels).astype(np.float32) / 255
    session = onnxruntime.InferenceSession(results["onnx-fp32-nms"].artifact)
    found = session.run(None, {"images": images})[0]
    assert found.shape == (4, 144, 6)
    for row in found:
        sure = row[row[:, 4] > 0]
        assert len(sure)
        assert (sure[:, 4] > 0.25).all()
        assert (np.diff(sure[:, 4]) <= 0).all()
        assert (row[len(sure) :] == 0).all()


def test_an_openvino_archive_holds_the_network_and_nothing_of_this_machine(results):
    with tarfile.open(results["openvino-fp32"].artifact) as archive:
        entries = archive.getmembers()
    assert [entry.name for entry in entries] == ["model.xml", "model.bin"]
    assert {(entry.mtime, entry.uid, entry.uname, entry.mode) for entry in entries} == {(0, 0, "", 0o644)}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
