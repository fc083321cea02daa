"""RKNN's toolkit as a process: what it is asked and gets to see, and how its end is told. A double stands for it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from exporter.engine.adapters.rknn_process import RknnProcess, ToolkitError
from exporter.engine.process import EngineFailedError, run_export

from .toolkit_double import install, program

LIMIT_S = 60.0


@pytest.fixture
def python(tmp_path) -> Path:
    return install(tmp_path)


@pytest.fixture
def order(tmp_path) -> dict[str, object]:
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(b"a graph")
    return {
        "graph": str(graph), "boxes": "b", "scores": "s", "in_float16": [["c", "b"]], "calibration": [],
        "target": "rk3588", "artifact": str(tmp_path / "network.rknn"),
    }  # fmt: skip


@pytest.fixture
def started(tmp_path):
    """Start processes that are gone after the test."""
    running = []

    def start(python: Path, order: dict[str, object]) -> RknnProcess:
        running.append(RknnProcess(python, order, tmp_path))
        return running[-1]

    yield start
    for process in running:
        process.close()


def test_a_network_is_built_and_answers_images_with_boxes_and_scores_joined(started, python, order, tmp_path):
    process = started(python, order)
    assert process.built(LIMIT_S) == {"rknn-toolkit2": "0.0.1"}
    assert (tmp_path / "network.rknn").read_text() == "all in float16"

    answer = process.simulate(np.full((1, 8, 8, 3), (255, 51, 153), np.uint8), LIMIT_S)  # red, green, blue
    assert answer.shape == (1, 4 + 2, 5)
    assert answer[0, :, 0].tolist() == [153.0] * 4 + [255.0, 51.0]


def test_eight_bits_are_taken_from_squares_and_leave_the_decoding_in_float16(started, python, order, tmp_path):
    for number in range(3):
        np.save(tmp_path / f"{number}.npy", np.zeros((1, 3, 8, 8), np.uint8))
    order["calibration"] = [str(tmp_path / f"{number}.npy") for number in range(3)]
    started(python, order).built(LIMIT_S)
    said = (tmp_path / "network.rknn").read_text().splitlines()
    assert said == ["3 squares, float16 in [['c', 'b']]", "graph.model graph.data graph.quantization.cfg"]


def test_the_toolkit_sees_nothing_of_our_environment(started, python, order, tmp_path, monkeypatch):
    for name in ("AWS_SECRET_ACCESS_KEY", "LABELSTREAM_SIGNING_KEY", "SOMETHING_OF_OURS"):
        monkeypatch.setenv(name, "nobody's business")
    started(python, order).built(LIMIT_S)
    seen = json.loads((tmp_path / "environment.json").read_text())
    assert "nobody's business" not in seen.values()
    assert seen["HOME"] == str(tmp_path)


def test_a_python_may_be_named_from_where_the_service_runs(started, python, order, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert started(Path("python"), order).built(LIMIT_S)


def test_a_build_that_fails_ends_with_the_last_words_of_the_toolkit(started, python, order):
    with pytest.raises(ToolkitError, match=r"exited with code 1: .*RuntimeError: the toolkit gave up with code -1"):
        started(python, order | {"target": "rk0000"}).built(LIMIT_S)


def test_an_image_that_it_dies_of_is_told_with_the_reason_and_without_progress_bars(started, python, order):
    process = started(python, order)
    process.built(LIMIT_S)
    white, black = np.full((1, 8, 8, 3), 255, np.uint8), np.zeros((1, 8, 8, 3), np.uint8)
    process.simulate(white, LIMIT_S)
    with pytest.raises(ToolkitError, match=r"ValueError: a black square is too much for it$") as told:
        process.simulate(black, LIMIT_S)
    assert "it/s" not in str(told.value)
    with pytest.raises(ToolkitError, match="exited with code 1"):
        process.simulate(white, LIMIT_S)


def test_one_that_takes_too_long_is_killed(started, order, tmp_path):
    endless = program(tmp_path / "endless", "exec sleep 600\n")
    with pytest.raises(ToolkitError, match=r"was killed by signal 9 \(its limit is 0.1 s\)"):
        started(endless, order).built(0.1)


@pytest.mark.parametrize(
    ("python", "reason"),
    [
        (None, r"rknn-fp16-rk3588 is built in RKNN's own environment: make it \(`make rknn`\)"),
        (Path("/nowhere/python"), r"has no Python at /nowhere/python: No such file"),
        (Path(sys.executable), r"No module named 'rknn'"),
    ],
    ids=["not-set", "not-there", "without-toolkit"],
)
async def test_an_environment_that_is_not_there_is_told(spec, python, reason):
    asked = spec.model_copy(update={"format": "rknn-fp16-rk3588", "rknn_python": python})
    with pytest.raises(EngineFailedError, match=f"format-unbuildable: .*{reason}"):
        await run_export(asked)
