"""An engine without torch: each start does the next line of `script.json` in its folder."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from labelstream_yolo.engine import EngineFailure, run_engine
from trainer.engine.contract import PROGRESS, Adjustments, Progress, TrainingSpec
from trainer.engine.recovering import IN_FORCE


def _do(spec: TrainingSpec) -> dict[str, Any]:
    starts = spec.out_dir / "starts.ndjson"
    with starts.open("a") as file:
        file.write(json.dumps([spec.resume, spec.adjustments.model_dump()]) + "\n")
    script = json.loads((spec.out_dir / "script.json").read_text())
    line = script[min(len(starts.read_text().splitlines()), len(script)) - 1]
    if "batch" in line:
        in_force = Adjustments(batch=line["batch"])
        (spec.out_dir / IN_FORCE).write_text(in_force.model_dump_json())
    epochs = [_epoch(number) for number in line.get("epochs", [])]
    (spec.out_dir / PROGRESS).write_text("".join(epoch.model_dump_json() + "\n" for epoch in epochs))
    if "fail" in line:
        raise EngineFailure(*line["fail"])
    if "die" in line:
        os.kill(os.getpid(), signal.SIGKILL)
    metrics = {"map50": 0, "map50_95": 0, "precision": 0, "recall": 0, "images": 1}
    history = [_epoch(number).model_dump() for number in line["done"]]
    return {
        "best_epoch": 1, "epochs": len(history), "validation": metrics, "test": metrics, "weights": "w", "tested": "t",
        "architecture": "a", "history": history, "versions": {}, "device": "CPU", "seconds": 1,
    }  # fmt: skip


def _epoch(number: int) -> Progress:
    return Progress(
        epoch=number, epochs=9, losses={}, map50=0, map50_95=0, seconds=1, eta_s=1, images_per_s=1
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(run_engine(TrainingSpec, lambda spec: spec.out_dir, _do))
