"""Trains with ultralytics alone, with our engine's settings: `python -m benchmarks.bare_train SPEC.json`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from labelstream_yolo.offline import prepare_ultralytics
from trainer.engine.contract import TrainingSpec


def main() -> None:
    """Prepare ultralytics, and train."""
    spec = TrainingSpec.model_validate_json(Path(sys.argv[1]).read_bytes())
    spec.out_dir.mkdir(parents=True, exist_ok=True)
    prepare_ultralytics(spec.out_dir / "ultralytics", spec.recipe.threads)
    importlib.import_module("benchmarks.bare_training").train(spec)


if __name__ == "__main__":
    main()
