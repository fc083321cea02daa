"""Everything that a training must get back to go on as if nothing had happened, in full precision.

Randomness is not among it: it is drawn anew from the seed and the epoch each time an epoch begins.
"""

from __future__ import annotations

import io
import random
from typing import Any

import numpy as np
import torch
from ultralytics.utils.torch_utils import unwrap_model

_CRITERION = ("updates", "o2m", "o2o")  # what the loss of end-to-end heads counts and shifts over the epochs


def gathered(trainer: Any) -> memoryview:
    """Return the state of an ultralytics trainer at the end of an epoch, as torch writes it."""
    model = unwrap_model(trainer.model)
    buffer = io.BytesIO()
    torch.save(
        {
            "model": dict(model.state_dict()),
            "average": dict(trainer.ema.ema.state_dict()),
            "average_updates": trainer.ema.updates,
            "optimizer": trainer.optimizer.state_dict()["state"],
            "scaler": trainer.scaler.state_dict(),
            "criterion": {name: getattr(model.criterion, name) for name in _criterion_names(model.criterion)},
            "best_fitness": float(trainer.best_fitness),
            "stopper": {
                "best_fitness": float(trainer.stopper.best_fitness),
                "best_epoch": trainer.stopper.best_epoch,
                "possible_stop": trainer.stopper.possible_stop,
            },
            "recent_images": list(trainer.train_loader.dataset.buffer),
        },
        buffer,
    )
    return buffer.getbuffer()


def restore(trainer: Any, state: bytes, epoch: int) -> None:
    """Put what `gathered` returned back into a trainer that was just set up, to go on after `epoch` epochs.

    Rates, momenta and decays stay as the trainer was set up with: they follow from the recipe, its adjustments
    and the epoch.
    """
    content = torch.load(io.BytesIO(state), map_location="cpu", weights_only=True)
    model = unwrap_model(trainer.model)
    model.load_state_dict(content["model"])
    trainer.ema.ema.load_state_dict(content["average"])
    trainer.ema.updates = content["average_updates"]
    groups = trainer.optimizer.state_dict()["param_groups"]
    trainer.optimizer.load_state_dict({"state": content["optimizer"], "param_groups": groups})
    if content["scaler"]:
        trainer.scaler.load_state_dict(content["scaler"])
    if content["criterion"]:
        model.criterion = model.init_criterion()
        vars(model.criterion).update(content["criterion"])
    trainer.best_fitness = content["best_fitness"]
    vars(trainer.stopper).update(content["stopper"])
    trainer.start_epoch = epoch
    if trainer.args.mosaic and trainer.train_loader.num_workers == 0:
        for index in content["recent_images"]:  # what mosaics are made of, when the images are not all in memory
            trainer.train_loader.dataset.load_image(index)


def seed_epoch(trainer: Any, seed: int, rank: int) -> None:
    """Let the randomness of the epoch that begins depend on `seed` and its number alone.

    Loader processes draw from their own, seeded once when they start: with them, taking up a training is not exact.
    """
    own = (seed + 1 + rank + 1_000_003 * trainer.epoch) % 2**32
    random.seed(own)
    np.random.seed(own)  # ultralytics draws from numpy's old global state
    torch.manual_seed(own)
    loader = trainer.train_loader
    if loader.num_workers == 0 or trainer.epoch == trainer.start_epoch:
        loader.generator.manual_seed(own)
        loader.reset()


def is_finite(trainer: Any) -> bool:
    """Say whether weights, their average and the optimizer's state are all finite numbers."""
    held = [*unwrap_model(trainer.model).state_dict().values(), *trainer.ema.ema.state_dict().values()]
    held += [value for of_one in trainer.optimizer.state.values() for value in of_one.values()]
    floats = [value for value in held if isinstance(value, torch.Tensor) and value.is_floating_point()]
    return bool(torch.nn.utils.get_total_norm(floats, norm_type=float("inf")).isfinite())


def _criterion_names(criterion: Any) -> tuple[str, ...]:
    return _CRITERION if hasattr(criterion, "update") else ()
