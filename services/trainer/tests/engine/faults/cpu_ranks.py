"""The training engine with two processes, as if for two accelerators, on the CPU: `python -m cpu_ranks SPEC.json`.

Each process is this module again, told by a plan. Only what needs CUDA is replaced.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from labelstream_yolo.engine import run_engine
from labelstream_yolo.offline import prepare_ultralytics
from trainer.engine.contract import TrainingResult, TrainingSpec
from trainer.engine.plan import Plan


def _train(spec: TrainingSpec) -> dict[str, Any]:
    prepare_ultralytics(spec.out_dir / "ultralytics", 1)
    job, ranks = importlib.import_module("trainer.engine.job"), importlib.import_module("trainer.engine.ranks")
    ranks.MODULE = "cpu_ranks"
    job.settled, job.in_words = (lambda device: device), (lambda device: f"two CPUs for {device}")
    test_of = job.test_of
    job.test_of = lambda spec, *rest: test_of(spec.model_copy(update={"device": "cpu"}), *rest)
    result: TrainingResult = job.train(spec)
    return result.model_dump(mode="json")


def _be_a_rank(plan: Plan) -> None:
    rank = importlib.import_module("trainer.engine.rank")
    prepare_ultralytics(plan.spec.out_dir / "ultralytics", 1)
    torch, training = importlib.import_module("torch"), importlib.import_module("trainer.engine.training")
    parallel = torch.nn.parallel.DistributedDataParallel
    torch.nn.parallel.DistributedDataParallel = lambda model, **rest: parallel(model, **{**rest, "device_ids": None})

    class OnTheCpu(training.Training):
        def __init__(self, plan: Plan) -> None:
            super().__init__(plan.model_copy(update={"spec": plan.spec.model_copy(update={"device": "cpu"})}))
            self.world_size = 2

        def _setup_ddp(self) -> None:
            torch.distributed.init_process_group("gloo")

        def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
            batch = super().preprocess_batch(batch)
            if self.batch_size > 4 and os.environ["RANK"] == "1":
                raise torch.OutOfMemoryError("CUDA out of memory in one of two")
            return batch

    training.Training = OnTheCpu
    rank.train(plan)


if __name__ == "__main__":
    if "spec" in json.loads(Path(sys.argv[1]).read_bytes()):
        sys.exit(run_engine(Plan, lambda plan: plan.spec.out_dir / "ranks" / os.environ["RANK"], _be_a_rank))
    sys.exit(run_engine(TrainingSpec, lambda spec: spec.out_dir, _train))
