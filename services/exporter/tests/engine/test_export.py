"""Exports in real subprocesses: how they end, and what they say when they can't."""

from __future__ import annotations

import subprocess
import sys

import pytest

from exporter.engine.contract import ProofImage
from exporter.engine.process import EngineFailedError, run_export
from labelstream_yolo.architecture import Architecture


@pytest.mark.slow
async def test_an_export_says_what_it_built_and_how_far_it_is_from_its_weights(spec):
    result = await run_export(spec)

    agreement = result.facts.agreement
    assert agreement.images == 6
    assert agreement.boxes > 6
    assert (agreement.unmatched, agreement.map50) == (0, None)  # there are no labels to score with
    assert agreement.max_box_px < 0.01
    assert agreement.max_score < 0.001
    assert result.artifact.parent == spec.out_dir
    assert result.picture.read_bytes().startswith(b"\x89PNG")
    assert result.names == ("car", "truck")
    assert result.versions["torch"] == "2"  # of the training; the export adds its own
    assert "onnxruntime" in result.versions
    assert {answer.image for answer in result.golden} <= {image.path for image in spec.images}
    assert [len(answer.boxes) > 0 for answer in result.golden] == [True, True]
    found = result.reference
    assert (found.images, found.detections) == (6, agreement.boxes)
    assert sum(found.class_counts.values()) == sum(found.confidences) == found.detections
    assert set(found.class_counts) <= {0, 1}
    assert not any(found.confidences[:5])  # below the confidence that counts


async def test_weights_of_another_architecture_are_refused(spec, decided, tmp_path):
    other = tmp_path / "architecture.json"
    architecture = Architecture.model_validate_json((decided / "architecture.json").read_bytes())
    other.write_text(architecture.model_copy(update={"names": ("car", "truck", "bus")}).model_dump_json())
    with pytest.raises(EngineFailedError, match=r"weights-unreadable: .*do not fit"):
        await run_export(spec.model_copy(update={"architecture": other}))


async def test_a_file_that_is_no_image_is_told(spec, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")
    with pytest.raises(EngineFailedError, match=r"images-unreadable: .*bad\.jpg"):
        await run_export(spec.model_copy(update={"images": (ProofImage(path=bad),)}))


async def test_eight_bits_without_images_for_the_ranges_are_refused(spec):
    with pytest.raises(EngineFailedError, match=r"calibration-missing: onnx-int8 takes its ranges from images"):
        await run_export(spec.model_copy(update={"format": "onnx-int8"}))


@pytest.mark.parametrize(
    ("name", "reason"),
    [("onnx-fp8", "onnx comes in fp32, int8"), ("tensorrt-fp16-sm_20", "can.t be built on this machine")],
    ids=["no-format", "no-hardware"],
)
async def test_what_can_not_be_built_here_is_refused_with_the_reason(spec, name, reason):
    with pytest.raises(EngineFailedError, match=rf"format-unbuildable: .*({reason})"):
        await run_export(spec.model_copy(update={"format": name}))


def test_the_service_itself_imports_no_torch():
    code = (
        "import sys, exporter.engine.process, exporter.engine.capabilities; "
        "sys.exit('torch' in sys.modules or 'ultralytics' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
