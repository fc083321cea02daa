"""The training engine, with faults: `python -m faulty_engine SPEC.json`, told by the variable FAULTS what goes wrong.

FAULTS is a JSON list of objects: in the call number `at` (from 1) of `function` and all later ones, `do` something, but
no more than `times` times over all processes of a training, and only while the batch is larger than `batch_over`.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from labelstream_yolo.engine import run_engine
from labelstream_yolo.offline import prepare_ultralytics
from trainer.engine.contract import TrainingResult, TrainingSpec


def _train(spec: TrainingSpec) -> dict[str, Any]:
    prepare_ultralytics(
        spec.out_dir / "ultralytics", spec.recipe.threads, albumentations=spec.recipe.on_the_fly.albumentations
    )
    for number, fault in enumerate(json.loads(os.environ["FAULTS"])):
        _arm(fault, spec.out_dir / f"fault-{number}")
    result: TrainingResult = importlib.import_module("trainer.engine.job").train(spec)
    return result.model_dump(mode="json")


def _arm(fault: dict[str, Any], done: Path) -> None:
    """Put the fault around its function; `done` counts how often it happened."""
    module, _, path = fault["function"].partition(":")
    *outer, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for part in outer:
        owner = getattr(owner, part)
    original = getattr(owner, name)
    calls = 0

    def faulty(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        times = len(done.read_text()) if done.exists() else 0
        fits = args and getattr(args[0], "batch_size", 1) <= fault.get("batch_over", 0)
        if calls < fault.get("at", 1) or times >= fault.get("times", 1) or fits:
            return original(*args, **kwargs)
        done.write_text("x" * (times + 1))
        _do(fault["do"], args)
        return original(*args, **kwargs)

    setattr(owner, name, faulty)


def _do(what: str, args: tuple[Any, ...]) -> None:
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    torch = importlib.import_module("torch")  # after the preparation
    if what == "exhaust the accelerator":
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    if what == "exhaust memory":
        torch.empty(1 << 60, dtype=torch.uint8)  # torch's own error
    if what == "spoil the images":
        args[1]["img"] = args[1]["img"] * float("nan")
    if what == "spoil the weights":
        with torch.no_grad():
            next(args[0].ema.ema.parameters()).fill_(float("inf"))


if __name__ == "__main__":
    sys.exit(run_engine(TrainingSpec, lambda spec: spec.out_dir, _train))
