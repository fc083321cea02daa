"""The fastest artifact that answers as it must is the one that serves."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from inference.engine.choosing import Engines
from inference.engine.machine import Machine, cores
from labelstream.errors import Rejected

from .material import Rehearsed, Stage, artifact, manifest

NAMES = ("openvino-int8", "openvino-fp32", "onnx-fp32")


@pytest.fixture
def stage() -> Stage:
    """Three networks, of which the second is the fastest."""
    seconds = {"openvino-int8": 1.2, "openvino-fp32": 0.9, "onnx-fp32": 1.1}
    return Stage({name: Rehearsed(each) for name, each in seconds.items()})


def opened(stage: Stage, *names: str, prove=None, foreign: Stage | None = None, **changes):
    """Open the fastest of these artifacts; `foreign`: graphs of ONNX in OpenVINO."""
    engines = Engines(backends=stage.everywhere(foreign), **changes)
    return engines.open_fastest(manifest(*(artifact(name) for name in names or NAMES)), lambda _: b"", prove)


def test_the_fastest_serves_and_the_others_are_closed(stage: Stage) -> None:
    engine = opened(stage)
    assert engine.artifact == "openvino-fp32"
    assert [name for name, network in stage.networks.items() if not network.closed] == ["openvino-fp32"]
    assert [name for name, network in stage.networks.items() if network.settled] == ["openvino-fp32"]


def test_it_keeps_why_it_serves(stage: Stage) -> None:
    stage.lacks["onnx-fp32"] = "the package onnxruntime is not installed here"
    rows = opened(stage).tried
    assert [(row.artifact, row.ms) for row in rows] == [
        ("openvino-fp32", 900.0),
        ("openvino-int8", 1200.0),
        ("onnx-fp32", None),
    ]
    assert [row.refused for row in rows] == [
        None,
        None,
        "no foreign graphs; the package onnxruntime is not installed here",
    ]


def test_the_choice_is_logged_once_with_everything_that_was_tried(stage: Stage) -> None:
    with capture_logs() as logs:
        opened(stage)
    (line,) = logs
    assert (line["event"], line["artifact"]) == ("artifact.chosen", "openvino-fp32")
    assert [row["artifact"] for row in line["tried"]] == ["openvino-fp32", "onnx-fp32", "openvino-int8"]


def test_two_are_open_at_the_same_time_at_most(stage: Stage) -> None:
    opened(stage)
    assert stage.most_open == 2


def test_when_the_fastest_gives_other_answers_the_next_fastest_serves(stage: Stage) -> None:
    asked = []

    def prove(engine, facts) -> None:
        asked.append(facts.name)
        if facts.name == "openvino-fp32":
            raise Rejected("model.golden_differs", "golden image 0: no box", "Compare.")

    engine = opened(stage, prove=prove)
    assert asked == ["openvino-fp32", "onnx-fp32"]
    assert engine.artifact == "onnx-fp32"
    assert engine.tried[-1].refused == "golden image 0: no box"
    assert stage.networks["openvino-fp32"].closed


def test_when_all_give_other_answers_the_bundle_is_refused_with_every_reason(stage: Stage) -> None:
    def prove(engine, facts) -> None:
        raise Rejected("model.golden_differs", f"{facts.name} differs", "Compare.")

    with pytest.raises(Rejected, match=r"openvino-fp32 differs.*onnx-fp32 differs|onnx-fp32 differs") as refusal:
        opened(stage, prove=prove)
    assert refusal.value.rule == "model.no_artifact_for_us"
    assert all(network.closed for network in stage.networks.values())


def test_what_does_not_load_leaves_the_others_to_serve(stage: Stage) -> None:
    stage.networks["openvino-fp32"] = Rejected("model.unloadable", "it is broken", "Export again.")
    engine = opened(stage)
    assert engine.artifact == "onnx-fp32"
    assert engine.tried[-1].refused == "it is broken"


def in_openvino(seconds: float) -> Stage:
    return Stage({"onnx-fp32": Rehearsed(seconds, backend="a double of OpenVINO")})


@pytest.mark.parametrize(("seconds", "runtime"), [(1.0, "openvino"), (1.2, "onnxruntime")], ids=["faster", "slower"])
def test_a_graph_of_onnx_is_run_by_whatever_runs_it_faster(stage: Stage, seconds: float, runtime: str) -> None:
    engine = opened(stage, "onnx-fp32", foreign=in_openvino(seconds))
    assert {row.runtime: row.ms for row in engine.tried} == {"openvino": seconds * 1000, "onnxruntime": 1100.0}
    assert engine.tried[0].runtime == runtime
    assert engine.backend == ("a double of OpenVINO" if runtime == "openvino" else "a double")


def test_what_was_made_for_openvino_stands_for_the_same_precision_in_onnx(stage: Stage) -> None:
    foreign = in_openvino(0.1)
    assert opened(stage, foreign=foreign).artifact == "openvino-fp32"
    assert foreign.opened == []
    engine = opened(stage, "openvino-int8", "onnx-fp32", foreign=foreign)
    assert (engine.artifact, engine.tried[0].runtime) == ("onnx-fp32", "openvino")


def test_where_nothing_else_reads_a_graph_of_onnx_openvino_does_beside_its_own_files(stage: Stage) -> None:
    backends = stage.everywhere(in_openvino(2.0))
    backends.only = ("openvino",)
    engine = Engines(backends=backends).open_fastest(manifest(*(artifact(name) for name in NAMES)), lambda _: b"")
    assert [(row.artifact, row.runtime, row.ms) for row in engine.tried] == [
        ("openvino-fp32", "openvino", 900.0),
        ("openvino-int8", "openvino", 1200.0),
        ("onnx-fp32", "openvino", 2000.0),
    ]


def test_an_artifact_whose_seal_does_not_open_leaves_the_others_to_serve(stage: Stage) -> None:
    def read(facts) -> bytes:
        if facts.name == "openvino-fp32":
            raise Rejected("seal.damaged", "it was changed", "Export again.")
        return b""

    engine = Engines(backends=stage.everywhere()).open_fastest(manifest(*(artifact(name) for name in NAMES)), read)
    assert engine.artifact == "onnx-fp32"
    assert engine.tried[-1].refused == "it was changed"


def test_where_runtimes_refuse_for_different_reasons_each_is_told(stage: Stage) -> None:
    stage.networks["onnx-fp32"] = Rejected("model.unloadable", "it is broken", "Export again.")

    def prove(engine, facts) -> None:
        raise Rejected("model.golden_differs", "no box", "Compare.")

    with pytest.raises(Rejected) as refusal:
        opened(stage, "onnx-fp32", foreign=in_openvino(0.1), prove=prove)
    assert refusal.value.rule == "model.no_artifact_for_us"
    assert "onnx-fp32 in openvino: no box; onnx-fp32 in onnxruntime: it is broken" in refusal.value.reason


def test_where_one_runtime_gives_other_answers_the_next_one_serves(stage: Stage) -> None:
    def prove(engine, facts) -> None:
        if engine.backend == "a double of OpenVINO":
            raise Rejected("model.golden_differs", f"{facts.name}: no box", "Compare.")

    engine = opened(stage, "onnx-fp32", foreign=in_openvino(0.1), prove=prove)
    assert engine.backend == "a double"
    assert [(row.runtime, row.refused) for row in engine.tried] == [
        ("onnxruntime", None),
        ("openvino", "onnx-fp32: no box"),
    ]


def test_a_setting_keeps_to_a_runtime(stage: Stage) -> None:
    backends = stage.everywhere(in_openvino(0.1))
    backends.only = ("onnxruntime",)
    (row, left_out) = (
        Engines(backends=backends)
        .open_fastest(manifest(artifact("onnx-fp32"), artifact("openvino-int8")), lambda _: b"")
        .tried
    )
    assert (row.artifact, row.runtime) == ("onnx-fp32", "onnxruntime")
    assert (left_out.artifact, left_out.runtime) == ("openvino-int8", None)
    assert left_out.refused == "the setting RUNTIMES names only onnxruntime"


def test_the_only_error_there_was_is_told_as_it_is(stage: Stage) -> None:
    stage.networks["onnx-fp32"] = Rejected("model.unloadable", "it is broken", "Export again.")
    with pytest.raises(Rejected) as refusal:
        opened(stage, "onnx-fp32")
    assert refusal.value.rule == "model.unloadable"


def test_where_nothing_runs_the_refusal_names_each_with_its_reason(stage: Stage) -> None:
    stage.lacks.update({"openvino-int8": "no OpenVINO", "onnx-fp32": "no onnxruntime"})
    with pytest.raises(Rejected) as refusal:
        opened(stage, "openvino-int8", "onnx-fp32", "rknn-int8-rk3588")
    assert refusal.value.rule == "model.no_artifact_for_us"
    for said in (
        "openvino-int8: no OpenVINO",
        "onnx-fp32: no foreign graphs; no onnxruntime",
        "nothing here runs rknn",
    ):
        assert said in refusal.value.reason


def test_a_network_that_fails_when_it_first_runs_is_refused_and_closed(stage: Stage) -> None:
    class Broken(Rehearsed):
        def run(self, tensor, *, alone=False):  # noqa: ARG002  # as the contract has them
            raise RuntimeError("out of memory\nand more")

    stage.networks["openvino-fp32"] = broken = Broken()
    engine = opened(stage)
    assert engine.artifact == "onnx-fp32"
    assert "out of memory" in (engine.tried[-1].refused or "")
    assert broken.closed


def test_an_answer_of_another_shape_is_refused(stage: Stage) -> None:
    engines = Engines(backends=stage.everywhere())
    with pytest.raises(Rejected) as refusal:
        engines.open_fastest(manifest(artifact("onnx-fp32"), classes=("a", "b", "c")), lambda _: b"")
    assert refusal.value.rule == "model.output_differs"
    assert "(6, 4), not (7, candidates)" in refusal.value.reason


def test_only_what_may_answer_is_opened_from_its_seal(stage: Stage) -> None:
    stage.lacks["openvino-int8"] = "no OpenVINO"
    read = []
    Engines(artifacts=("onnx-fp32", "openvino-int8"), backends=stage.everywhere()).open_fastest(
        manifest(*(artifact(name) for name in NAMES)), lambda facts: read.append(facts.name) or b""
    )
    assert read == ["onnx-fp32"]


@pytest.mark.parametrize(
    ("machine", "workers"),
    [
        (Machine(threads=4), 4),
        (Machine(threads=2, gpu=object(), max_batch=8), 16),
        (Machine(threads=40, gpu=object()), 40),
    ],
    ids=["cores", "a GPU's batches", "many cores beside a GPU"],
)
def test_so_many_workers_suit_the_machine(machine: Machine, workers: int) -> None:
    backends = Stage({}).everywhere()
    backends.machine = machine
    assert Engines(backends=backends).threads == workers


def test_a_machine_without_a_gpu_is_seen_as_one() -> None:
    machine = Machine.of("auto", None, 16, spread=True)
    assert machine.threads == cores()
    assert machine.no_cpu is None
    assert Machine.of("cuda", 1, 16, spread=True).no_cpu
