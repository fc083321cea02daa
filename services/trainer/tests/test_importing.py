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
from trainer.importing import Brought, bring

DRAWN = """
import sys
from pathlib import Path
from labelstream_yolo.offline import prepare_ultralytics
folder = Path(sys.argv[1])
prepare_ultralytics(folder / "ultralytics", threads=1)
import torch
from ultralytics.nn.tasks import DetectionModel
network = {
    "nc": 2,
    "width_multiple": 0.25,
    "backbone": [[-1, 1, "Conv", [32, 3, 2]], [-1, 1, "Conv", [32, 3, 2]]],
    "head": [[[-1], 1, "Detect", ["nc"]]],
}
for seed, name in enumerate(("first", "second")):
    torch.manual_seed(seed)
    model = DetectionModel(dict(network), nc=2, verbose=False)
    model.names = {0: "car", 1: "truck"}
    torch.save({"model": model}, folder / f"{name}.pt")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with two files of weights."""
    folder = tmp_path_factory.mktemp("brought")
    subprocess.run([sys.executable, "-c", DRAWN, str(folder)], check=True)
    return folder


@pytest.fixture(scope="module")
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture(scope="module")
async def brought(folder, blobs) -> Brought:
    """The first of them, brought under a name."""
    return await bring(blobs, "default", "harbour", folder / "first.pt", folder / "out")


async def test_weights_are_recorded_under_a_name_with_files_that_are_what_it_says(brought, blobs):
    record = await read_weights(blobs, "default", "harbour")
    assert record == brought.weights
    assert not brought.was_there
    assert (record.names, record.source) == (("car", "truck"), "first.pt")
    for file in (record.weights, record.architecture):
        assert sha256_hex((await blobs.get(file.key)).data) == file.sha256
    architecture = (await blobs.get(record.architecture.key)).data
    assert Architecture.model_validate_json(architecture).names == ("car", "truck")


async def test_the_same_weights_again_change_nothing(brought, blobs, folder, tmp_path):
    before = [info async for info in blobs.list("")]
    again = await bring(blobs, "default", "harbour", folder / "first.pt", tmp_path)
    assert again.was_there
    assert again.weights == brought.weights
    assert [(info.key, info.etag) async for info in blobs.list("")] == [(info.key, info.etag) for info in before]


async def test_a_name_never_comes_to_mean_other_weights(brought, blobs, folder, tmp_path):
    with pytest.raises(Rejected, match=r"harbour is the name of other weights.* from first\.pt") as refused:
        await bring(blobs, "default", "harbour", folder / "second.pt", tmp_path)

    assert refused.value.rule == "weights.name_taken"
    assert await list_weights(blobs, "default") == [brought.weights]


@pytest.mark.parametrize("name", ["", "../../secrets", "Harbour", "a/b"])
async def test_a_name_that_could_be_no_weights_finds_none(name):
    assert await read_weights(MemoryBlobs(), "default", name) is None
