"""A file that answers wrongly is seen, and so is where it is worst."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest

from exporter.engine.contract import ExportSpec

from .conftest import labelled

PROGRAM = Path(__file__).with_name("proving_wrong.py")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def proofs(learned, tmp_path_factory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("proofs")
    spec = ExportSpec(
        format="onnx-fp32",
        weights=learned / "weights.safetensors",
        architecture=learned / "architecture.json",
        images=labelled(learned / "test")[:10],  # no multiple of the batch
        out_dir=out,
    )
    (out / "order.json").write_text(spec.model_dump_json())
    subprocess.run([sys.executable, PROGRAM, out / "order.json"], check=True)
    return json.loads((out / "proofs.json").read_text())


def test_a_file_that_answers_rightly_is_the_measure(proofs):
    assert proofs["whole"]["unmatched"] == 0
    assert proofs["whole"]["max_box_px"] < 0.01
    assert proofs["whole"]["boxes"] >= 15


def test_shifted_boxes_are_seen_and_the_worst_image_is_the_one_that_is_shifted_most(proofs, learned):
    images = sorted((learned / "test" / "images").iterdir())[:10]
    brightest = max(images, key=lambda path: cv2.imread(str(path)).mean())
    shifted = proofs["shifted"]
    assert shifted["worst"]["image"] == hashlib.sha256(brightest.read_bytes()).hexdigest()
    assert shifted["max_box_px"] == pytest.approx(12 * cv2.imread(str(brightest)).mean() / 255, abs=0.1)
    assert shifted["worst"]["box_px"] == shifted["max_box_px"]
    assert shifted["map50_95"] < shifted["trained_map50_95"] - 0.1
    assert Path(shifted["picture"]).exists()


@pytest.mark.parametrize("name", ["first row only", "first row of four only", "last row of another"])
def test_rows_of_a_batch_that_come_back_empty_or_wrong_are_seen(proofs, name):
    assert proofs[name]["unmatched"] >= 2
    assert proofs[name]["worst"]["unmatched"] > 0


def test_answers_that_are_no_numbers_find_nothing(proofs):
    wrong = proofs["not a number"]
    assert wrong["unmatched"] >= wrong["boxes"] - 1  # one at the threshold may fall on either side
    assert wrong["map50"] == 0


def test_scores_that_are_a_tenth_too_low_are_seen(proofs):
    assert 0.05 < proofs["half sure"]["max_score"] <= 0.1
    assert proofs["half sure"]["max_box_px"] < 0.01


def test_fewer_answers_than_images_are_no_proof(proofs):
    assert proofs["too few"] == "the file answers 1 of 3 images"
