from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from labelstream.errors import Rejected
from labelstream_yolo.architecture import read_architecture
from labelstream_yolo.importing.contract import Imported
from labelstream_yolo.importing.process import import_weights

BROUGHT = Path(__file__).with_name("brought.py")

ASKING = """
import socket, sys
from labelstream_yolo.importing.confinement import confine
assert confine() is (sys.platform == "linux")
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
    try:
        socket.socket(family)
    except PermissionError:
        continue
    sys.exit(f"{family} was granted")
"""

TRANSFER = """
import sys
from pathlib import Path
from labelstream_yolo.offline import prepare_ultralytics
out, source = Path(sys.argv[1]), Path(sys.argv[2])
prepare_ultralytics(out / "ultralytics", threads=1)
import torch
from safetensors.torch import load_file
from labelstream_yolo.architecture import read_architecture
from labelstream_yolo.transfer import transfer
from labelstream_yolo.weights import build_model
there = read_architecture(source / "architecture.json")
given = load_file(source / "weights.safetensors")
names = ("Car", "boat", "truck")  # the same number in another order, and one that is new
torch.manual_seed(1)
model = build_model(there.model_copy(update={"names": names}))
before = {name: value.clone() for name, value in model.state_dict().items()}
said = transfer(model, names, source / "weights.safetensors", there.names)
after = model.state_dict()
assert said.classes == ("Car", "truck") and said.tensors == said.of == len(after), said
for name in after:
    if ".cv3.0.2." in name:
        assert torch.equal(after[name][0], given[name][1]), "car is the second class there"
        assert torch.equal(after[name][1], before[name][1]), "nobody knows boats"
        assert torch.equal(after[name][2], given[name][0])
    else:
        assert torch.equal(after[name].float(), given[name].float()), name
wider = ("car", *map(str, range(99)))
model = build_model(there.model_copy(update={"names": wider}))
said = transfer(model, wider, source / "weights.safetensors", there.names)
assert 0 < said.tensors < said.of and said.classes == (), said
"""


def read(file: Path, out_dir: Path) -> Imported:
    return asyncio.run(import_weights(file, out_dir))


@pytest.fixture(scope="module")
def brought(tmp_path_factory) -> Path:
    """A folder with a file of each kind."""
    folder = tmp_path_factory.mktemp("brought")
    subprocess.run([sys.executable, str(BROUGHT), str(folder)], check=True)
    return folder


@pytest.fixture(scope="module")
def found(brought, tmp_path_factory) -> Imported:
    """What is found in the detector, while somebody looks at what the process that reads it is told."""
    out = tmp_path_factory.mktemp("found")
    (out / "spy").mkdir()
    spy = f"import os; open({str(out / 'seen')!r}, 'w').write(repr(os.environ))"
    (out / "spy" / "sitecustomize.py").write_text(spy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_SECRET_ACCESS_KEY", "not for everybody")
        patch.setenv("PYTHONPATH", str(out / "spy"))
        return read(brought / "detector.pt", out)


def test_a_detector_is_written_anew_with_its_classes_and_proved_to_build(found):
    architecture = read_architecture(found.architecture)
    assert found.names == architecture.names == ("truck", "car", "tank")
    assert (found.image_size, architecture.image_size) == (96, 96)
    assert found.confined is sys.platform.startswith("linux")
    assert found.parameters > 1000


def test_the_reading_process_gets_no_secret(found):
    seen = found.weights.with_name("seen").read_text()
    assert "PATH" in seen
    assert "not for everybody" not in seen


def test_the_same_weights_have_the_same_id_in_either_form(found, tmp_path):
    shutil.copy(found.architecture, tmp_path / "architecture.json")
    again = shutil.copy(found.weights, tmp_path / "mine.safetensors")

    second = read(Path(again), tmp_path / "safetensors")

    assert second.id == found.id
    assert second.source_sha256 != found.source_sha256


@pytest.mark.parametrize(
    ("kind", "rule", "reason"),
    [
        ("trap", "weights.unreadable", "outside the supported"),
        ("classifier", "weights.task", "ClassificationModel"),
        ("segmenter", "weights.task", "SegmentationModel"),
        ("activation", "weights.network", "evaluated as code"),
        ("broken", "weights.network", "NaN"),
    ],
)
def test_what_is_no_harmless_detector_is_refused_and_says_why(brought, tmp_path, kind, rule, reason):
    file = brought / f"{kind}.pt"

    with pytest.raises(Rejected, match=reason) as refused:
        read(file, tmp_path / "out")

    assert refused.value.rule == rule
    assert not Path(f"{file}.sprung").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.pt", b""), ("b.pt", b"GIF89a" * 100), ("c.safetensors", b"\0" * 64), ("d.onnx", b"x")],
    ids=["empty", "no-archive", "no-architecture", "another-form"],
)
def test_a_file_that_holds_no_weights_is_refused_by_name(tmp_path, name, content):
    file = tmp_path / name
    file.write_bytes(content)

    with pytest.raises(Rejected, match=r"weights|checkpoint|beside|ends in") as refused:
        read(file, tmp_path / "out")

    assert refused.value.rule == "weights.unreadable"


def test_a_truncated_file_is_refused(brought, tmp_path):
    file = tmp_path / "short.pt"
    file.write_bytes((brought / "detector.pt").read_bytes()[:-2000])

    with pytest.raises(Rejected, match=r"short\.pt"):
        read(file, tmp_path / "out")


def test_a_confined_process_is_granted_no_socket():
    subprocess.run([sys.executable, "-c", ASKING], check=True)


def test_classes_go_by_their_names_when_weights_are_taken_over(found, tmp_path):
    subprocess.run([sys.executable, "-c", TRANSFER, str(tmp_path), str(found.weights.parent)], check=True)
