from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Rejected
from labelstream.values import sha256_hex
from labelstream.weights import list_weights, read_weights
from labelstream_yolo.architecture import Architecture
from trainer.importing import bring

DRAWN = """
import sys
from pathlib import Path
from labelstream_yolo.offline import prepare_ultralytics
target, seed = Path(sys.argv[1]), int(sys.argv[2])
prepare_ultralytics(target.parent / "ultralytics", threads=1)
import torch
from ultralytics.nn.tasks import DetectionModel
torch.manual_seed(seed)
network = {
    "nc": 2,
    "width_multiple": 0.25,
    "backbone": [[-1, 1, "Conv", [32, 3, 2]], [-1, 1, "Conv", [32, 3, 2]]],
    "head": [[[-1], 1, "Detect", ["nc"]]],
}
model = DetectionModel(network, nc=2, verbose=False)
model.names = {0: "car", 1: "truck"}
torch.save({"model": model}, target)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("brought")
    made = folder / "first.pt", folder / "second.pt"
    for seed, file in enumerate(made):
        subprocess.run([sys.executable, "-c", DRAWN, str(file), str(seed)], check=True)
    return made


async def test_weights_are_recorded_under_a_name_with_files_that_are_what_it_says(files, tmp_path):
    blobs = MemoryBlobs()

    brought = await bring(blobs, "default", "harbour", files[0], tmp_path)

    record = await read_weights(blobs, "default", "harbour")
    assert record == brought.weights
    assert not brought.was_there
    assert (record.names, record.source) == (("car", "truck"), "first.pt")
    for file in (record.weights, record.architecture):
        assert sha256_hex((await blobs.get(file.key)).data) == file.sha256
    architecture = (await blobs.get(record.architecture.key)).data
    assert Architecture.model_validate_json(architecture).names == ("car", "truck")


async def test_the_same_weights_again_change_nothing(files, tmp_path):
    blobs = MemoryBlobs()
    first = await bring(blobs, "default", "harbour", files[0], tmp_path / "a")
    again = await bring(blobs, "default", "harbour", files[0], tmp_path / "b")
    assert again.was_there
    assert again.weights == first.weights


async def test_a_name_never_comes_to_mean_other_weights(files, tmp_path):
    blobs = MemoryBlobs()
    first = await bring(blobs, "default", "harbour", files[0], tmp_path / "a")

    with pytest.raises(Rejected, match=r"harbour is the name of other weights.* from first\.pt") as refused:
        await bring(blobs, "default", "harbour", files[1], tmp_path / "b")

    assert refused.value.rule == "weights.name_taken"
    assert await list_weights(blobs, "default") == [first.weights]


@pytest.mark.parametrize("name", ["", "../../secrets", "Harbour", "a/b"])
async def test_a_name_that_could_be_no_weights_finds_none(name):
    assert await read_weights(MemoryBlobs(), "default", name) is None
