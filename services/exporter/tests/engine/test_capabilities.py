from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.engine.capabilities import Finders, capabilities, installed, rknn_version

EVERYTHING = {"torch", "ultralytics", "safetensors", "cv2", "onnx", "onnxslim", "onnxruntime", "openvino", "tensorrt"}


def finders(packages=EVERYTHING, gpus=(), rknn=None) -> Finders:
    return Finders(
        package=lambda name: f"11.4-{name}" if name in packages else None, gpus=lambda: gpus, rknn=lambda _: rknn
    )


def queues(*args, **kwargs) -> list[str]:
    rknn_python = Path("python-of-rknn") if kwargs.get("rknn") else None
    return [each.queue for each in capabilities(rknn_python, finders(*args, **kwargs))]


def test_without_a_gpu_and_without_rknn_there_are_the_formats_of_the_cpu():
    assert queues() == ["jobs.export.onnx", "jobs.export.openvino", "jobs.export.torchscript"]


@pytest.mark.parametrize(
    ("missing", "left"),
    [
        ("openvino", ["jobs.export.onnx", "jobs.export.torchscript"]),
        ("onnxruntime", ["jobs.export.torchscript"]),
        ("torch", []),
    ],
)
def test_a_family_needs_its_packages(missing, left):
    assert queues(EVERYTHING - {missing}) == left


def test_an_engine_is_built_for_the_architecture_of_the_first_gpu():
    found = capabilities(None, finders(gpus=("9.0", "8.6")))
    (tensorrt,) = [each for each in found if each.family == "tensorrt"]
    assert (tensorrt.target, tensorrt.queue) == ("sm_90", "jobs.export.tensorrt.sm_90")
    assert tensorrt.versions["tensorrt"] == "11.4-tensorrt"


def test_an_older_tensorrt_builds_no_engines():
    old = replace(finders(gpus=("9.0",)), package=lambda _: "10.16.1")
    assert not [each for each in capabilities(None, old) if each.family == "tensorrt"]


def test_a_gpu_without_tensorrt_builds_no_engines():
    assert "jobs.export.tensorrt.sm_90" not in queues(EVERYTHING - {"tensorrt"}, gpus=("9.0",))


def test_rknn_counts_where_its_own_environment_has_it():
    assert queues(rknn="2.3.2")[-1] == "jobs.export.rknn.rk3588"
    assert capabilities(Path("python"), finders(rknn="2.3.2"))[-1].versions["rknn-toolkit2"] == "2.3.2"
    assert not [each for each in capabilities(None, finders(rknn="2.3.2")) if each.family == "rknn"]


def test_this_environment_has_what_a_cpu_needs():
    found = {each.family for each in capabilities()}
    assert {"onnx", "openvino", "torchscript"} <= found


def test_what_is_installed_is_told_by_its_import_name():
    assert installed("cv2")
    assert installed("no_such_module") is None


def test_a_python_without_the_toolkit_or_none_at_all_has_no_rknn():
    assert rknn_version(Path(sys.executable)) is None
    assert rknn_version(Path("no-such-python")) is None


def test_the_toolkit_s_environment_sees_nothing_of_our_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("LABELSTREAM_STORE__SECRET_KEY", "a secret")
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "\\"${LABELSTREAM_STORE__SECRET_KEY:-nothing}\\""\n')
    python.chmod(0o755)
    assert rknn_version(python) == "nothing"
