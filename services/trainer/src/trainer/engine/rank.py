"""One of the processes that train together: `python -m trainer.engine.rank PLAN.json`, started by ranks.py."""

from __future__ import annotations

import os
import sys

from labelstream_yolo.engine import run_engine
from labelstream_yolo.offline import prepare_ultralytics
from trainer.engine.plan import Plan


def train(plan: Plan) -> None:
    """Take part in a training."""
    out, recipe = plan.spec.out_dir, plan.spec.recipe
    prepare_ultralytics(out / "ultralytics", recipe.threads, albumentations=recipe.on_the_fly.albumentations)
    from trainer.engine.memory import telling_what_may_pass  # noqa: PLC0415  # torch must come after the preparation
    from trainer.engine.training import Training  # noqa: PLC0415

    with telling_what_may_pass():
        Training(plan).train()


if __name__ == "__main__":
    sys.exit(run_engine(Plan, lambda plan: plan.spec.out_dir / "ranks" / os.environ["RANK"], train))
