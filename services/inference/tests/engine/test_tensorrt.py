"""TensorRT without a GPU: everything around the engine. Nothing here runs CUDA or TensorRT; doubles stand for both."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from inference.engine.adapters.cuda import gpu_of
from inference.engine.adapters.tensorrt import TensorRt
from inference.engine.backends import Backends
from inference.engine.choosing import Engines
from inference.engine.machine import Machine
from labelstream.errors import Rejected

from .cuda_double import Cuda, Engine, TensorRtLibrary
from .material import artifact, manifest

NAME = "tensorrt-fp16-sm_90"


def world(cuda: Cuda | None = None, *, max_batch: int = 16, version: str = "11.4.0", **engine):
    """A machine with a GPU, TensorRT on it, and the engine that it loads."""
    cuda = cuda or Cuda()
    library = TensorRtLibrary(Engine(cuda, **engine), version)
    machine = Machine(threads=2, gpu=gpu_of(cuda), max_batch=max_batch)
    backends = Backends(machine, {"tensorrt": TensorRt(machine, library)})
    return cuda, library.engine, Engines(backends=backends)


def opened(engines: Engines, content: bytes = b"engine", target: str = "sm_90", name: str = NAME):
    return engines.open_fastest(manifest(artifact(name, target=target)), lambda _: content)


def answer(engine, value: float) -> float:
    """What the network says of an image of one grey."""
    image = np.full((64, 64, 3), value, np.uint8)
    raw = engine.forward(engine.pre_process(image))
    assert raw.shape == (6, 4)
    return float(raw[0, 0])


def test_images_go_to_the_gpu_and_their_answers_come_back() -> None:
    _, _, engines = world()
    engine = opened(engines)
    assert [answer(engine, value) for value in (0, 51, 255)] == pytest.approx([0, 0.2, 1])
    assert engine.backend == "TensorRT on the GPU"
    engine.close()


def test_bytes_go_there_as_they_are() -> None:
    _, _, engines = world(kind=np.uint8)
    engine = opened(engines, name="tensorrt-fp16-u8-sm_90")
    assert answer(engine, 77) == 77
    engine.close()


def test_batches_stay_within_the_engines_profile_and_within_the_setting() -> None:
    for most, max_batch, expected in ((8, 16, 8), (8, 3, 3)):
        _, double, engines = world(most=most, max_batch=max_batch)
        engine = opened(engines)
        assert engine.at_once == expected
        with ThreadPoolExecutor(24) as pool:
            values = list(range(0, 240, 5))
            assert list(pool.map(lambda value: answer(engine, value), values)) == pytest.approx(  # noqa: B023  # used up here
                [value / 255 for value in values], abs=1e-4
            )
        assert max(double.batches) <= expected
        engine.close()


def test_an_engine_of_one_batch_size_always_gets_it() -> None:
    _, double, engines = world(least=4, most=4)
    engine = opened(engines)
    assert answer(engine, 51) == pytest.approx(0.2)
    assert set(double.batches) == {4}
    engine.close()


def test_closing_gives_the_gpus_memory_back() -> None:
    cuda, _, engines = world()
    opened(engines).close()
    assert (cuda.taken, cuda.streams) == ({}, 0)


@pytest.mark.parametrize(
    ("cuda", "version", "target", "said"),
    [
        (Cuda(devices=0), "11.4.0", "sm_90", "no GPU is used here, and it is one for sm_90"),
        (Cuda(driver=False), "11.4.0", "sm_90", "no GPU is used here"),
        (Cuda(architecture=(8, 9)), "11.4.0", "sm_90", "the GPU here is sm_89, and it is one for sm_90"),
        (Cuda(), "10.2.0", "sm_90", "TensorRT 10.2.0 is installed here"),
    ],
    ids=["no GPU", "no driver", "another GPU", "an old TensorRT"],
)
def test_why_an_engine_can_not_run_here_is_said_before_it_is_opened(cuda, version: str, target: str, said: str) -> None:
    _, _, engines = world(cuda, version=version)
    with pytest.raises(Rejected) as refusal:
        opened(engines, target=target)
    assert refusal.value.rule == "model.no_artifact_for_us"
    assert said in refusal.value.reason


def test_an_engine_of_another_version_is_refused() -> None:
    _, _, engines = world()
    with pytest.raises(Rejected, match="does not load") as refusal:
        opened(engines, content=b"of another version")
    assert refusal.value.rule == "model.not_for_us"


def test_a_full_batch_that_does_not_fit_the_gpus_memory_is_noticed_before_it_serves() -> None:
    cuda, _, engines = world(Cuda(memory_bytes=200_000))
    with pytest.raises(Rejected, match="cudaMalloc failed") as refusal:
        opened(engines)
    assert refusal.value.rule == "model.unloadable"
    assert (cuda.taken, cuda.streams) == ({}, 0)


def test_an_engine_that_does_not_run_is_unloadable() -> None:
    _, _, engines = world(runs=False)
    with pytest.raises(Rejected) as refusal:
        opened(engines)
    assert refusal.value.rule == "model.unloadable"
