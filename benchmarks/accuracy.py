"""How accurate a shipped training recipe is on photographs with published splits, with stored variants and without.

DATA=<folder> names the photographs, in any form that `labelstream push` takes, with lists of the published splits in
it or beside it. RECIPE=<name or path> takes another training recipe than `photos`, SEEDS=<n,n,…> other seeds than 0, 1
and 2, ARMS=<name,name,…> some of the ways to train: `stored variants`, `originals alone`, `changed on the fly`.

Each arm trains once with each seed and sees as many images: the originals alone pass more often than the originals
with their variants. The best epoch is chosen on validation; test is measured once, of that epoch. CPU seconds are
those of the training's process; beside other work they say more than the wall's.
"""

from __future__ import annotations

import asyncio
import math
import os
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import t as student

from augmenter.recipe import load_recipe as load_variants
from benchmarks.figures import Figure
from benchmarks.photographs import Photographs
from labelstream.events.training import Metrics
from trainer.engine.contract import Progress, Recovery, TrainingSpec
from trainer.engine.process import Hear, run_training
from trainer.recipe import TrainingRecipe, load_recipe

VARIANTS = "default"  # the augmenter's recipe
RECIPE = os.environ.get("RECIPE", "photos")
SEEDS = tuple(int(seed) for seed in os.environ.get("SEEDS", "0,1,2").split(","))
ARMS = os.environ.get("ARMS", "")
MOST_S = 1200
ON_THE_FLY = "yolo11n"  # the training recipe whose changes on the fly the third arm takes


@dataclass(frozen=True)
class Arm:
    """A way of training on the same photographs."""

    name: str
    data: Path
    recipe: TrainingRecipe


@dataclass(frozen=True)
class Ran:
    """What came of one training."""

    validation: Metrics
    test: Metrics
    best_epoch: int
    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Mean:
    """The mean over seeds, and where it lies with 95 % confidence by Student's t."""

    value: float
    deviation: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Mean:
        """Take one value a seed; two are the fewest that tell of a spread."""
        value, deviation = statistics.mean(values), statistics.stdev(values)
        half = float(student.ppf(0.975, len(values) - 1)) * deviation / math.sqrt(len(values))
        return cls(value, deviation, value - half, value + half)


async def figures(folder: Path) -> list[Figure]:
    """Train every arm with every seed; return what each came to, and the means."""
    photographs = Photographs.of(_told())
    every = await asyncio.to_thread(arms, photographs, load_recipe(RECIPE), folder)
    every = [arm for arm in every if not ARMS or arm.name in ARMS.split(",")]
    seen: list[Figure] = []
    for arm in every:
        ran = [await _train(arm, seed, folder / arm.name / str(seed)) for seed in SEEDS]
        for seed, one in zip(SEEDS, ran, strict=True):
            seen += _each(f"{arm.name}, seed {seed}", one)
        if len(ran) > 1:
            seen += _means(arm.name, ran)
    return seen


def arms(photographs: Photographs, recipe: TrainingRecipe, folder: Path) -> list[Arm]:
    """Write the folders that the arms train on; return the arms."""
    variants = load_variants(VARIANTS)
    times = variants.count + 1
    longer = recipe.model_copy(update={"epochs": recipe.epochs * times, "warmup_epochs": recipe.warmup_epochs * times})
    alone = photographs.write(folder / "originals", load_variants("none"))
    return [
        Arm("stored variants", photographs.write(folder / "variants", variants), recipe),
        Arm("originals alone", alone, longer),
        Arm("changed on the fly", alone, longer.model_copy(update={"on_the_fly": load_recipe(ON_THE_FLY).on_the_fly})),
    ]


def _told() -> Path:
    folder = os.environ.get("DATA")
    if not folder:
        raise SystemExit("Say DATA=<folder>: annotated photographs, with the published splits in it or beside it.")
    return Path(folder)


async def _train(arm: Arm, seed: int, folder: Path) -> Ran:
    recipe = arm.recipe.model_copy(update={"seed": seed})
    spec = TrainingSpec(data=arm.data, recipe=recipe, out_dir=folder)

    async def told(epoch: Progress) -> None:
        said = f"epoch {epoch.epoch} of {epoch.epochs}: validation mAP50 {epoch.map50:.3f}"
        print(f"{arm.name}, seed {seed}, {said}", file=sys.stderr)

    async def recovered(recovery: Recovery) -> None:
        raise RuntimeError(f"{arm.name}, seed {seed} is no clean measurement: {recovery.rule}: {recovery.reason}")

    began, cpu = time.perf_counter(), _cpu_of_children_s()
    result = await run_training(spec, Hear(told, recovered), asyncio.Event())
    wall_s, cpu_s = time.perf_counter() - began, _cpu_of_children_s() - cpu
    ended = f"test mAP50 {result.test.map50:.3f} of epoch {result.best_epoch}, {wall_s:.0f} s, {cpu_s:.0f} s of CPU"
    print(f"{arm.name}, seed {seed}, {ended}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    return Ran(result.validation, result.test, result.best_epoch, wall_s, cpu_s)


def _cpu_of_children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _each(name: str, ran: Ran) -> list[Figure]:
    seen = [
        Figure(f"{name}: best epoch", ran.best_epoch, ""),
        Figure(f"{name}: validation mAP50", ran.validation.map50 * 100, "%"),
        Figure(f"{name}: test mAP50", ran.test.map50 * 100, "%"),
        Figure(f"{name}: test mAP50-95", ran.test.map50_95 * 100, "%"),
        Figure(f"{name}: seconds", ran.wall_s, "s", MOST_S),
        Figure(f"{name}: CPU seconds", ran.cpu_s, "s"),
    ]
    if ran.test.map50_interval is not None:
        low, high = ran.test.map50_interval.low, ran.test.map50_interval.high
        seen += [
            Figure(f"{name}: test mAP50 over other such test images, from", low * 100, "%"),
            Figure(f"{name}: test mAP50 over other such test images, to", high * 100, "%"),
        ]
    return seen


def _means(name: str, ran: Sequence[Ran]) -> list[Figure]:
    validation = Mean.of([100 * one.validation.map50 for one in ran])
    test = Mean.of([100 * one.test.map50 for one in ran])
    return [
        Figure(f"{name}: mean validation mAP50", validation.value, "%"),
        Figure(f"{name}: mean test mAP50", test.value, "%"),
        Figure(f"{name}: standard deviation of test mAP50", test.deviation, "%"),
        Figure(f"{name}: mean test mAP50 with 95 % confidence, from", test.low, "%"),
        Figure(f"{name}: mean test mAP50 with 95 % confidence, to", test.high, "%"),
    ]
