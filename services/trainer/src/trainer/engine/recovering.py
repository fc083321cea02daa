"""What is changed after a failure, so that a training can go on by itself. Pure."""

from __future__ import annotations

from trainer.engine.contract import Adjustments
from trainer.recipe import TrainingRecipe

MOST_NOT_FINITE = 3
MOST_DEATHS = 3  # without an epoch in between
IN_FORCE = "in-force.json"  # Adjustments as the engine trains with them, `auto` resolved
AUTO_BATCH = 16  # images in a step where `auto` can't be measured

OUT_OF_MEMORY, NOT_FINITE, DAMAGED, DIED = "out-of-memory", "not-finite", "checkpoint-damaged", "engine-died"


def after(rule: str, now: Adjustments, recipe: TrainingRecipe, devices: int = 1) -> Adjustments | None:
    """Return with what a training goes on after the failure `rule`, or None when nothing is left to try.

    Out of memory: half the batch, and the rate in proportion, as long as each device has an image. Not finite: half
    the rate, three times at most.
    """
    if rule == OUT_OF_MEMORY:
        batch = batch_of(now, recipe)
        halved = batch // 2 // devices * devices
        if halved < devices:
            return None
        scale = now.learning_rate_scale * halved / batch
        return now.model_copy(update={"batch": halved, "learning_rate_scale": scale})
    if rule == NOT_FINITE:
        if now.not_finite >= MOST_NOT_FINITE:
            return None
        scale = now.learning_rate_scale / 2
        return now.model_copy(update={"learning_rate_scale": scale, "not_finite": now.not_finite + 1})
    return now if rule in (DAMAGED, DIED) else None


def batch_of(now: Adjustments, recipe: TrainingRecipe) -> int:
    """Return the batch in force; `auto` counts as what it is where nothing can be measured."""
    if now.batch is not None:
        return now.batch
    return AUTO_BATCH if recipe.batch == "auto" else recipe.batch


def merged(one: Adjustments, other: Adjustments) -> Adjustments:
    """Return the stronger of each: adjustments only ever go one way, so whoever knows of more is right."""
    batches = [batch for batch in (one.batch, other.batch) if batch is not None]
    return Adjustments(
        batch=min(batches, default=None),
        learning_rate_scale=min(one.learning_rate_scale, other.learning_rate_scale),
        not_finite=max(one.not_finite, other.not_finite),
    )


def devices_in(device: str) -> int:
    """Return how many devices the words `auto`, `cpu`, `0` or `0,1` mean."""
    return len(device.split(","))
