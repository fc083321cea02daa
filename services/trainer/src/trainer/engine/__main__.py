"""Trains one detector: `python -m trainer.engine SPEC.json`; labelstream_yolo.engine says what it leaves."""

from __future__ import annotations

import sys
from typing import Any

from labelstream_yolo.engine import run_engine
from labelstream_yolo.offline import prepare_ultralytics
from trainer.engine.contract import TrainingSpec


def _train(spec: TrainingSpec) -> dict[str, Any]:
    recipe = spec.recipe
    prepare_ultralytics(spec.out_dir / "ultralytics", recipe.threads, albumentations=recipe.on_the_fly.albumentations)
    from trainer.engine.job import train  # noqa: PLC0415  # torch must come after the preparation

    return train(spec).model_dump(mode="json")


if __name__ == "__main__":
    sys.exit(run_engine(TrainingSpec, lambda spec: spec.out_dir, _train))
