"""When a new model goes back, and when it was not its fault. No clock is looked at: times are written down."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from inference.engine.detecting import Detected, Timings
from inference.engine.geometry import Found, Size
from inference.serving.duel import CalledOff, Dueling, Slowdown, slowdown
from inference.serving.models import Models, ServingModel
from inference.serving.probation import FAILED, LEAST_RUNS, SLOW, Probation, Terms
from inference.serving.sanity import Absurd, check_sane


class Still:
    """An engine that does nothing."""

    side = 64

    def pre_process(self, _image) -> None:
        return None

    def forward(self, _prepared) -> None:
        return None

    def close(self) -> None:
        return None


class Broken(Still):
    """An engine that fails."""

    def forward(self, _prepared) -> None:
        raise RuntimeError("no such kernel")


def model(name: str, number: int, engine: Still | None = None) -> ServingModel:
    """A model of the project p."""
    return ServingModel(SimpleNamespace(model=name, project="p"), number, engine or Still())


def ran(forward_ms: float, *, alone: bool = False, tiles: int = 1) -> Detected:
    """An answer that took so long."""
    nothing = Found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    return Detected(nothing, Size(64, 64), Timings(0, forward_ms, 0), tiles, alone)


AS_FAST = Slowdown(10, 10)


@dataclass
class Bench:
    """A new model on probation; a duel's outcome is written down beforehand."""

    worst_slowdown: float = 2.0
    worst_failures: float = 0.01
    seconds: float = 3600
    slowdown: Slowdown = AS_FAST
    duels: int = 0
    dueled: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.models = Models(("p",))
        self.old, self.new = model("old", 1), model("new", 2)
        terms = Terms(self.seconds, self.worst_slowdown, self.worst_failures)
        self.probation = Probation(self.models, terms, self._duel)
        self.models.swap(self.old)

    async def _duel(self, ours: ServingModel, theirs: ServingModel) -> Slowdown:
        assert (ours, theirs) == (self.new, self.old)
        self.duels += 1
        self.dueled.set()
        return self.slowdown

    def ran(self, which: ServingModel, forward_ms: float, times: int = LEAST_RUNS, **how) -> None:
        for _ in range(times):
            self.probation.answered(which, ran(forward_ms, **how), usual=True)

    def swap(self) -> asyncio.Task:
        """Put the new model on probation; return who waits for the end."""
        self.models.swap(self.new, on_probation=True)
        self.probation.begin(self.new)
        return asyncio.create_task(self.probation.sit(self.new))

    async def goes_on(self, sitting: asyncio.Task) -> bool:
        for _ in range(20):
            await asyncio.sleep(0)
        return not sitting.done() and self.models.get("p") is self.new


async def test_a_model_that_fails_goes_back_at_once() -> None:
    bench = Bench()
    sitting = bench.swap()
    for _ in range(2):
        bench.probation.failed(bench.new, RuntimeError("no such kernel"))
    assert await bench.goes_on(sitting), "two failures may be an accident"
    bench.probation.failed(bench.new, RuntimeError("no such kernel"))
    assert bench.models.get("p") is bench.old, "not only once somebody gets around to it"
    verdict = await sitting
    assert verdict.rule == FAILED
    assert "3 of 3 images" in verdict.reason
    assert "no such kernel" in verdict.reason


async def test_few_failures_among_many_answers_are_borne() -> None:
    bench = Bench(worst_failures=0.01)
    sitting = bench.swap()
    bench.ran(bench.new, 10, times=400)
    for _ in range(4):
        bench.probation.failed(bench.new, ValueError("odd image"))
    assert await bench.goes_on(sitting)
    bench.probation.failed(bench.new, ValueError("odd image"))  # 5 of 405
    assert (await sitting).rule == FAILED


async def test_failures_of_another_model_are_not_its_own() -> None:
    bench = Bench()
    sitting = bench.swap()
    for _ in range(9):
        bench.probation.failed(bench.old, RuntimeError("an image that nobody reads"))
    assert await bench.goes_on(sitting)


async def test_a_model_that_is_far_slower_goes_back() -> None:
    bench = Bench(slowdown=Slowdown(30, 10))
    bench.ran(bench.old, 10)
    sitting = bench.swap()
    bench.ran(bench.new, 30)
    verdict = await sitting
    assert verdict.rule == SLOW
    assert "3.0 times" in verdict.reason
    assert bench.models.get("p") is bench.old


async def test_a_model_that_only_looks_slow_since_the_machine_became_slow_stays() -> None:
    bench = Bench(slowdown=Slowdown(31, 30))
    bench.ran(bench.old, 10)
    sitting = bench.swap()
    bench.ran(bench.new, 30)
    await bench.dueled.wait()
    assert await bench.goes_on(sitting)
    bench.ran(bench.new, 30, times=LEAST_RUNS - 1)
    assert await bench.goes_on(sitting)
    assert bench.duels == 1, "it is not asked again before it has been slow for another while"
    bench.slowdown = Slowdown(90, 30)
    bench.ran(bench.new, 90)
    assert (await sitting).rule == SLOW


async def test_runs_are_compared_with_those_under_the_same_load() -> None:
    bench = Bench(slowdown=Slowdown(99, 1))
    bench.ran(bench.old, 10, alone=True)  # no traffic to speak of before the swap
    bench.ran(bench.old, 40, times=LEAST_RUNS - 1)
    sitting = bench.swap()
    bench.ran(bench.new, 40)  # and much after it
    assert await bench.goes_on(sitting)
    assert bench.duels == 0
    bench.ran(bench.new, 25, alone=True)
    assert (await sitting).rule == SLOW


async def test_a_faster_model_and_one_within_bounds_are_not_doubted() -> None:
    bench = Bench()
    bench.ran(bench.old, 10)
    sitting = bench.swap()
    bench.ran(bench.new, 19)
    bench.ran(bench.new, 3)
    assert await bench.goes_on(sitting)
    assert bench.duels == 0


async def test_few_slow_runs_tell_nothing() -> None:
    bench = Bench()
    bench.ran(bench.old, 10)
    sitting = bench.swap()
    bench.ran(bench.new, 500, times=LEAST_RUNS - 1)
    assert await bench.goes_on(sitting)
    assert bench.duels == 0


async def test_tiled_images_count_for_one_look() -> None:
    bench = Bench()
    bench.ran(bench.old, 10)
    sitting = bench.swap()
    bench.ran(bench.new, 90, tiles=9)
    assert await bench.goes_on(sitting)
    assert bench.duels == 0


async def test_without_older_runs_both_are_measured_once() -> None:
    bench = Bench(slowdown=Slowdown(12, 10))
    sitting = bench.swap()
    bench.ran(bench.new, 12)
    await bench.dueled.wait()
    bench.ran(bench.new, 12, times=5 * LEAST_RUNS)
    assert await bench.goes_on(sitting)
    assert bench.duels == 1


async def test_a_model_that_passed_stays_and_the_one_before_goes() -> None:
    bench = Bench(seconds=0.01)
    assert await bench.swap() is None
    assert bench.models.get("p") is bench.new
    assert bench.models.before("p") is None
    for _ in range(9):
        bench.probation.failed(bench.new, RuntimeError("later"))
    assert bench.models.get("p") is bench.new, "there is nothing to go back to"


async def test_a_newer_model_ends_the_probation_without_a_verdict() -> None:
    bench = Bench()
    sitting = bench.swap()
    newest = model("newest", 3)
    bench.models.swap(newest, on_probation=True)
    bench.probation.begin(newest)
    assert await sitting is None
    for _ in range(9):
        bench.probation.failed(bench.new, RuntimeError("of a request that took it before"))
    assert bench.models.get("p") is newest
    for _ in range(3):
        bench.probation.failed(newest, RuntimeError("now"))
    assert bench.models.get("p") is bench.old, "the last one that proved itself"


async def test_a_first_model_has_nothing_to_go_back_to() -> None:
    models = Models(("p",))
    probation = Probation(models, Terms(), Dueling(models))
    first = model("first", 1)
    models.swap(first, on_probation=True)
    probation.begin(first)
    for _ in range(9):
        probation.failed(first, RuntimeError("broken"))
    assert models.get("p") is first
    assert await probation.sit(first) is None


async def test_models_run_in_turn_in_a_duel() -> None:
    models = Models(("p",))
    old, new = model("old", 1), model("new", 2)
    models.swap(old)
    models.swap(new, on_probation=True)
    slowdown = await Dueling(models)(new, old)
    assert slowdown.ours_ms > 0 < slowdown.theirs_ms


def test_what_disturbs_some_runs_does_not_make_a_model_slow() -> None:
    disturbed = [3.0, 0.05, 4.0, 2.9, 5.1]
    assert slowdown(disturbed, [0.05, 0.04, 0.04, 0.05, 3.0]).ratio < 2
    assert slowdown([0.05, 0.04, 0.04, 0.05, 3.0], disturbed).ratio < 2
    assert slowdown([6.1, 6.0, 9.0], [2.0, 2.1, 7.0]).ratio > 2


async def test_a_duel_with_a_broken_or_a_closed_model_is_called_off() -> None:
    models = Models(("p",))
    old, new = model("old", 1), model("new", 2, Broken())
    models.swap(old)
    models.swap(new, on_probation=True)
    with pytest.raises(CalledOff, match="no such kernel") as off:
        await Dueling(models)(new, old)
    assert off.value.model is new
    models.release(new)
    with pytest.raises(CalledOff) as off:
        await Dueling(models)(new, old)
    assert off.value.model is old


@pytest.mark.parametrize(
    ("boxes", "scores", "classes"),
    [
        ([[0, 0, np.nan, 1]], [0.5], [0]),
        ([[0, 0, np.inf, 1]], [0.5], [0]),
        ([[0, 0, 1, 1]], [np.nan], [0]),
        ([[0, 0, 1, 1]], [7.5], [0]),
        ([[0, 0, 1, 1]], [-0.5], [0]),
        ([[0, 0, 1, 1]], [0.5], [2]),
    ],
    ids=["box nan", "box infinite", "score nan", "score above 1", "score below 0", "no such class"],
)
def test_numbers_that_are_no_detections_are_a_fault(boxes, scores, classes) -> None:
    manifest = SimpleNamespace(class_schema=SimpleNamespace(classes=("a", "b")))

    def detected(*values) -> Detected:
        types = (np.float32, np.float32, np.int64)
        found = Found(*(np.array(each, kind) for each, kind in zip(values, types, strict=True)))
        return Detected(found, Size(9, 9), Timings(0, 0, 0))

    check_sane(detected([[0, 0, 1, 1]], [1.001], [1]), manifest)
    with pytest.raises(Absurd):
        check_sane(detected(boxes, scores, classes), manifest)
