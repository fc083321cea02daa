from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from labelstream_yolo.architecture import Architecture, read_architecture

NETWORK = {
    "nc": 80,
    "width_multiple": 0.25,
    "backbone": [[-1, 1, "Conv", [32, 3, 2]], [-1, 1, "Conv", [64, 3, 2]], [-1, 1, "Conv", [64, 3, 2]]],
    "head": [[[-1], 1, "Detect", ["nc"]]],
}

ROUND_TRIP = """
import sys
from pathlib import Path
from labelstream_yolo.offline import prepare_ultralytics
out = Path(sys.argv[1])
prepare_ultralytics(out / "ultralytics", threads=1)
try:
    import albumentations
except ImportError:
    pass
else:
    raise SystemExit("ultralytics would have changed images by itself")
import torch
from labelstream_yolo.architecture import read_architecture
from labelstream_yolo.weights import build_model, load_model, read_metadata, save_weights
architecture = read_architecture(out / "architecture.json")
model = build_model(architecture).eval()
save_weights(model, out / "weights.safetensors", {"epoch": "3"})
again = load_model(out / "weights.safetensors", architecture)
image = torch.rand(1, 3, 64, 64)
assert torch.equal(model(image)[0], again(image)[0])
assert again.names == {0: "car", 1: "truck"}
assert read_metadata(out / "weights.safetensors") == {"epoch": "3"}
other = architecture.model_copy(update={"names": ("car", "truck", "bus")})
try:
    load_model(out / "weights.safetensors", other)
except ValueError as error:
    assert "do not fit" in str(error)
else:
    raise SystemExit("weights of another architecture were taken")
for name in ("Path", "torch", "nn.Nothing", "parse_model"):
    sneaky = {**architecture.model, "head": [[[-1], 1, name, ["nc"]]]}
    try:
        build_model(architecture.model_copy(update={"model": sneaky}))
    except ValueError as error:
        assert repr(name) in str(error)
    else:
        raise SystemExit(f"{name} was taken for a layer")

from labelstream_yolo.torchvision_shim import suppress
import torchvision.ops
boxes = torch.tensor([[0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30], [0, 0, 10, 9]], dtype=torch.float32)
scores = torch.tensor([0.8, 0.9, 0.3, 0.7])
assert suppress(boxes, scores, 0.5).tolist() == [1, 2]
assert torchvision.ops.nms(boxes, scores, 0.5).tolist() == [1, 2]

(out / "full.unfinished").symlink_to("/dev/full")
try:
    save_weights(model, out / "full.safetensors")
except OSError as error:
    assert "No space left" in str(error)
else:
    raise SystemExit("weights were written where there is no room")
print("all held")
"""


def test_an_architecture_comes_back_as_it_was_written(tmp_path):
    architecture = Architecture(model=NETWORK, image_size=160, names=("car", "truck"), versions={"torch": "2"})
    (tmp_path / "architecture.json").write_text(architecture.model_dump_json())
    assert read_architecture(tmp_path / "architecture.json") == architecture


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"activation": "print('hello')"}, "evaluated as code"),
        ({"head": []}, "'head'"),
        ({"backbone": [[-1, 1, "Conv"]]}, "a layer is"),
    ],
)
def test_what_is_no_network_is_refused(change, said):
    with pytest.raises(ValidationError, match=said):
        Architecture(model={**NETWORK, **change}, image_size=160, names=("car",))


def test_weights_answer_the_same_after_a_round_trip_and_nothing_else_loads(tmp_path):
    """In a process of its own, because the preparation must come before torch."""
    architecture = Architecture(model=NETWORK, image_size=64, names=("car", "truck"))
    (tmp_path / "architecture.json").write_text(architecture.model_dump_json())
    ran = subprocess.run([sys.executable, "-c", ROUND_TRIP, str(tmp_path)], check=False, capture_output=True, text=True)
    assert "all held" in ran.stdout, ran.stderr
