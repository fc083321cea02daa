"""onnxruntime and OpenVINO give the same answers to the same images, whatever goes in and comes out."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openvino
import pytest

from inference.engine.adapters.onnx import Onnx
from inference.engine.adapters.openvino import OpenVino
from inference.engine.backends import Backends, RuntimeName
from inference.engine.choosing import Engines
from inference.engine.detecting import detect
from inference.engine.machine import Machine
from labelstream.bundle import Thresholds
from labelstream.errors import Rejected

from .material import artifact, cells_graph, manifest, packed, with_cells

THRESHOLDS = Thresholds()
EXPECTED = {(0, 24, 16), (1, 48, 40)}  # class, left, top
KINDS = [
    {},
    {"u8": True},
    {"output": "raw-yolo-split"},
    {"batch": 3},
    {"u8": True, "batch": 2},
]


def cells_of(found) -> set[tuple[int, int, int]]:
    return {(int(c), round(float(b[0])), round(float(b[1]))) for c, b in zip(found.classes, found.boxes, strict=True)}


WAYS = [("onnx", "onnxruntime"), ("onnx", "openvino"), ("openvino", "openvino")]  # the file's family, what runs it


def opened(family: str, runtime: RuntimeName, tmp_path, *, threads: int = 2, spread: bool = True, **kind):
    """An engine of the cell detector in a runtime."""
    name = f"{family}-fp32" + ("-u8" if kind.get("u8") else "")
    facts = artifact(name, batch=kind.get("batch"), output=kind.get("output", "raw-yolo"))
    graph = cells_graph(**kind)
    content = packed(graph, tmp_path) if family == "openvino" else graph
    engines = Engines(threads=threads, spread=spread, runtimes=(runtime,))
    return engines.open_fastest(manifest(facts), lambda _: content)


@pytest.mark.parametrize(("family", "runtime"), WAYS)
@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("alone", [False, True], ids=["one of many", "alone"])
def test_every_kind_of_graph_finds_the_cells(family: str, runtime: RuntimeName, kind, alone: bool, tmp_path) -> None:
    engine = opened(family, runtime, tmp_path, **kind)
    found = detect(engine, with_cells((2, 3, "red"), (5, 6, "blue")), THRESHOLDS, alone=alone).found
    assert cells_of(found) == EXPECTED
    assert found.scores.tolist() == pytest.approx([1, 1], abs=1e-5)
    engine.close()


@pytest.mark.parametrize(("family", "runtime"), WAYS)
def test_threads_that_ask_together_get_their_own_answers(family: str, runtime: RuntimeName, tmp_path) -> None:
    engine = opened(family, runtime, tmp_path)
    places = [(row, column) for row in range(8) for column in range(8)]

    def ask(place: tuple[int, int]) -> np.ndarray:
        return engine.forward(engine.pre_process(with_cells((*place, "red"))))

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, places * 5))  # all kept: an answer is the caller's own
    for (row, column), raw in zip(places * 5, answers, strict=True):
        assert int(raw[4].argmax()) == row * 8 + column


@pytest.mark.parametrize(("family", "runtime"), WAYS)
def test_without_a_second_network_a_run_that_is_alone_answers_as_well(
    family: str, runtime: RuntimeName, tmp_path
) -> None:
    engine = opened(family, runtime, tmp_path, spread=False)
    assert cells_of(detect(engine, with_cells((2, 3, "red"), (5, 6, "blue")), THRESHOLDS, alone=True).found) == EXPECTED


def test_a_precision_that_the_processor_does_not_compute_in_is_refused(tmp_path) -> None:
    facts = artifact("openvino-fp16", hints={"INFERENCE_PRECISION_HINT": "f16"})
    content = packed(cells_graph(), tmp_path)
    if "FP16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor computes in float16: nothing is refused")
    with pytest.raises(Rejected, match="computes in f32, and it was proved in f16") as refusal:
        Engines(threads=1).open_fastest(manifest(facts), lambda _: content)
    assert refusal.value.rule == "model.not_for_us"


@pytest.mark.parametrize(
    ("family", "content"),
    [("onnx", b"no graph"), ("onnx", b""), ("openvino", b"no tar"), ("openvino", b""), ("openvino", "no model")],
    ids=["no graph", "nothing", "no tar", "nothing in a tar", "no model in a tar"],
)
def test_what_is_no_network_is_unloadable(family: str, content: bytes | str, tmp_path) -> None:
    if content == "no model":
        whole = packed(cells_graph(), tmp_path)
        content = whole.replace(b"<net ", b"<nix ")
    with pytest.raises(Rejected) as refusal:
        Engines(threads=1).open_fastest(manifest(artifact(f"{family}-fp32")), lambda _: content)
    assert refusal.value.rule == "model.unloadable"


def test_graphs_of_onnx_that_openvino_may_compute_otherwise_are_left_to_onnxruntime() -> None:
    backends = Backends(Machine())
    assert list(backends.of(artifact("onnx-fp32"))) == ["openvino", "onnxruntime"]
    assert list(backends.of(artifact("onnx-int8"))) == ["onnxruntime"]
    assert list(backends.of(artifact("onnx-fp32-nms-b1", output="boxes-score-class"))) == ["onnxruntime"]
    backends.only = ("openvino",)
    assert "in fp32 only" in (backends.lacking(artifact("onnx-int8")) or "")


def test_a_setting_of_cuda_leaves_the_cores_alone() -> None:
    machine = Machine(cpu=False)
    for name in ("openvino-fp32", "onnx-fp32"):
        assert "DEVICE is cuda" in (OpenVino(machine).lacking(artifact(name)) or "")
    assert "CUDA" in (Onnx(machine).lacking(artifact("onnx-fp32")) or "")


def test_opening_and_running_writes_no_file(tmp_path, monkeypatch) -> None:
    contents = {"openvino-fp32": packed(cells_graph(), tmp_path), "onnx-fp32": cells_graph()}
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    written = []

    def watch(event: str, arguments) -> None:
        if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
            written.append(arguments[0])

    sys.addaudithook(watch)
    engine = Engines(threads=2).open_fastest(
        manifest(*(artifact(name) for name in contents)), lambda facts: contents[facts.name]
    )
    detect(engine, with_cells((2, 3, "red")), THRESHOLDS)
    assert not [path for path in written if path != os.devnull]
    assert not list(work.iterdir())
