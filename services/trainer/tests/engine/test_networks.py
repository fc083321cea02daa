from __future__ import annotations

import subprocess
import sys

import pytest

# In a process of its own, because the preparation must come before torch.
BUILD = """
import sys
from pathlib import Path
from labelstream_yolo.offline import prepare_ultralytics
prepare_ultralytics(Path(sys.argv[1]), threads=1)
from labelstream_yolo.architecture import Architecture
from labelstream_yolo.weights import build_model
from trainer.engine.options import network_of
from trainer.recipe import TrainingRecipe
for family in sys.argv[2:]:
    sizes = []
    for scale in "nsmlx":
        network = network_of(TrainingRecipe(architecture=family + scale))
        model = build_model(Architecture(model=network, image_size=64, names=("car", "truck")))
        assert model.model[-1].nc == 2
        sizes.append(sum(parameter.numel() for parameter in model.parameters()))
    assert sizes == sorted(set(sizes)), (family, sizes)
print("all built")
"""


@pytest.mark.slow
def test_every_size_of_a_family_is_built_and_larger_than_the_one_before(tmp_path):
    command = [sys.executable, "-c", BUILD, str(tmp_path), "yolo11", "yolo26"]
    built = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "all built" in built.stdout, built.stderr
