"""How the list of jobs and one job look, and what a person may call a job."""

from __future__ import annotations

import pytest

from labelstream.blobs.leases import LeaseState
from labelstream.events.base import TRAINING_EVENTS
from labelstream.events.training import TrainingFailed, TrainingRecovered, WeightsRef
from labelstream.trainings import JobBook, JobState
from labelstream.values import FileRef
from labelstream_cli.jobs.book import chosen, read_book
from labelstream_cli.jobs.facts import as_entry, best_epoch, left_s, reached, took_s
from labelstream_cli.jobs.list_view import show_jobs
from labelstream_cli.jobs.models import Model
from labelstream_cli.jobs.show_view import Shown, everything_as_json, recipe_in_words, show_job
from labelstream_cli.jobs.words import curve, duration
from labelstream_cli.running import CommandFailed

from .jobs_world import (
    BEGAN_MS,
    FIRST,
    SECOND,
    THIRD,
    World,
    cancelled,
    champion,
    epoch,
    finished,
    printed,
    requested,
    started,
)  # fmt: skip

REPORT = FileRef.of("default/jobs/x/report.html", b"<html>")


@pytest.fixture
def world() -> World:
    return World()


async def state_of(world: World, job: str = FIRST) -> JobState:
    return (await read_book(world.place)).jobs[job]


async def three(world: World) -> JobBook:
    await world.say(requested(FIRST), started(FIRST), epoch(FIRST, 1, 0.4), epoch(FIRST, 2, 0.7), finished(FIRST))
    await world.say(
        requested(SECOND), TrainingFailed(job=SECOND, attempt=0, rule="dataset.too_small", reason="5 short")
    )
    await world.say(requested(THIRD), project="harbour")
    return await read_book(world.place)


# ---- naming a job


async def test_a_job_is_named_by_digits_that_only_it_has(world: World) -> None:
    book = await three(world)
    assert chosen(book, "3fa9").job == FIRST
    assert chosen(book, "3FB1…").job == SECOND
    assert chosen(book, None).job == THIRD


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("3f", "at least 4"),
        ("job one", "at least 4"),
        ("3fa8", "like it: 3fa9"),
        ("0123", "there is no job 0123; `labelstream jobs list` shows all 3"),
    ],
    ids=["short", "words", "mistyped", "strange"],
)
async def test_what_names_no_job_is_answered_with_what_to_do(world: World, told: str, said: str) -> None:
    book = await three(world)
    with pytest.raises(CommandFailed, match=said):
        chosen(book, told)


async def test_digits_of_several_jobs_are_answered_with_all_of_them(world: World) -> None:
    await world.say(requested(FIRST), requested("3fa90000" + "1" * 24))
    with pytest.raises(CommandFailed, match=r"may be any of 2 jobs: 3fa900003fa9 .*, 3fa900001111"):
        chosen(await read_book(world.place), "3fa9")


async def test_where_nothing_was_asked_for_it_is_said_how_to_ask(world: World) -> None:
    await world.broker.ensure_stream(TRAINING_EVENTS)
    with pytest.raises(CommandFailed, match="`labelstream train`"):
        chosen(await read_book(world.place), "3fa9")


# ---- figures


async def test_a_finished_job_counts_by_its_test_and_another_by_its_best_epoch(world: World) -> None:
    await world.say(requested(FIRST), started(FIRST), epoch(FIRST, 1, 0.7), epoch(FIRST, 2, 0.4))
    open_job = await state_of(world)
    best = reached(open_job)
    assert best is not None
    assert (best.map50, best.on, best_epoch(open_job)) == (0.7, "val", 1)
    await world.say(finished(FIRST, 0.9))
    best = reached(await state_of(world))
    assert best is not None
    assert (best.map50, best.on) == (0.9, "test")


async def test_what_is_left_shrinks_with_the_clock_and_stands_still_while_nobody_trains(world: World) -> None:
    await world.say(requested(FIRST), started(FIRST), epoch(FIRST, 1, 0.7, eta_s=100.0))
    state = await state_of(world)
    assert left_s(state, world.now_ms + 30_000) == 70
    assert left_s(state, world.now_ms + 130_000) == 0
    await world.say(started(FIRST, attempt=2, worker="bob"), after_s=500)
    assert left_s(await state_of(world), world.now_ms + 30_000) == 70


async def test_the_time_a_job_took_begins_with_its_first_worker(world: World) -> None:
    await world.say(requested(FIRST))
    await world.say(started(FIRST), after_s=600)
    await world.say(started(FIRST, attempt=2), finished(FIRST), after_s=60)
    assert took_s(await state_of(world)) == 120


async def test_a_job_for_machines_says_all_that_the_list_shows(world: World) -> None:
    book = await three(world)
    entry = as_entry(book.jobs[SECOND])
    assert (entry["job"], entry["state"], entry["reason"]) == (SECOND, "failed", "dataset.too_small: 5 short")
    assert (entry["epoch"], entry["epochs"], entry["map50"], entry["worker"]) == (0, 3, None, None)
    assert as_entry(book.jobs[FIRST])["requested"].startswith("2026-09-21T")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "0 s"), (59.4, "59 s"), (61, "1 min 01 s"), (1500, "25 min"), (3700, "1 h 01 min"), (200_000, "2 d 7 h")],
    ids=str,
)
def test_a_duration_is_told_in_the_units_that_matter(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_curve_rises_with_its_values_and_never_gets_longer_than_a_line() -> None:
    assert curve([0.0, 0.5, 1.0]) == "▁▅█"
    assert curve([]) == ""
    assert curve([3.0, 3.0], 3.0, 3.0) == "▁▁"
    long = curve([n / 999 for n in range(1000)])
    assert len(long) == 60
    assert list(long) == sorted(long)


# ---- the list


async def test_the_list_says_how_far_each_job_is(world: World) -> None:
    book = await three(world)
    lines = printed(show_jobs, list(book.jobs.values())).splitlines()
    assert lines[0].split() == ["job", "project", "state", "epoch", "mAP50", "time", "worker", "asked"]
    assert lines[1].split()[:6] == ["3fa900003fa9", "default", "finished", "2/3", "0.900", "test"]
    assert lines[1].split()[6:9] == ["30", "s", "ada"]
    assert "failed" in lines[2]
    assert lines[2].split()[-1] == "dataset.too_small"
    assert lines[3].split()[:4] == ["77cc000077cc", "harbour", "requested", "0/3"]


async def test_a_narrow_terminal_shows_every_figure_and_no_reasons(world: World) -> None:
    book = await three(world)
    lines = printed(show_jobs, list(book.jobs.values()), width=80).splitlines()
    assert lines[0].split() == ["job", "project", "state", "epoch", "mAP50", "time", "worker", "asked"]
    assert "30 s" in lines[1]
    assert "too_small" not in lines[2]


async def test_a_job_that_runs_says_what_is_left_and_the_last_epoch_that_it_is_evaluated(world: World) -> None:
    world.now_ms = 32_000_000_000_000  # long from now: nothing has passed since
    await world.say(requested(FIRST), started(FIRST), epoch(FIRST, 1, 0.7, eta_s=90.0))
    assert " left" in printed(show_jobs, [await state_of(world)])
    await world.say(epoch(FIRST, 3, 0.7, eta_s=0.0))
    assert "evaluates" in printed(show_jobs, [await state_of(world)])


# ---- one job


def shown(state: JobState, lease: LeaseState | None = None, model: Model | None = None) -> str:
    return " ".join(printed(show_job, Shown(state, lease, model)).split())


async def test_a_finished_job_shows_every_epoch_and_its_test_beside_the_champion(world: World) -> None:
    await world.say(requested(FIRST, warnings=("truck has no test image",)), started(FIRST), epoch(FIRST, 1, 0.4))
    await world.say(epoch(FIRST, 2, 0.7, batch=4, learning_rate=0.002, images_per_s=12.3, memory_bytes=2_000_000_000))
    await world.say(finished(FIRST, 0.9, epochs=2, report=REPORT, champion=champion()))
    said = shown(await state_of(world), model=Model(id="ab" * 16, in_service=True, promoted=3))
    for part in (
        f"{FIRST} finished",
        "dddddddddddd, cut at offset 41: 80 train, 6 val, 5 test samples",
        "architecture small, epochs 3, batch 4, seed 0",
        "truck has no test image",
        "attempt 1",
        "2 1.000 1.000 0.700 0.350 4 0.002 12.3 2.0 GB best",
        "best epoch 2 of 2; 5 test images",
        "mAP50 0.880 0.900 0.850 … 0.940 0.880 +0.020 (-0.010 … +0.050)",
        "champion: model c4c4c4c4c4c4",
        "car 0.610 0.500",
        "truck 0.420 -",
        "model abababababab, in service",
        "default/jobs/x/report.html, 6 bytes",
        "--report report.html",
    ):
        assert part in said


async def test_what_a_job_recovered_from_is_shown_with_what_it_changed(world: World) -> None:
    recovered = TrainingRecovered(
        job=FIRST, attempt=1, epoch=1, rule="out-of-memory", reason="no room", batch=2, learning_rate_scale=0.5
    )
    await world.say(requested(FIRST), started(FIRST), epoch(FIRST, 1, 0.4), recovered, started(FIRST, 2, "bob"))
    await world.say(epoch(FIRST, 2, 0.5, attempt=2))
    said = shown(await state_of(world), LeaseState("bob", 2, "held"))
    assert "after epoch 1 (batch 2, learning rate × 0.5): out-of-memory: no room" in said
    assert "attempt 2" in said
    assert "bob works on it, overdue" in said
    assert "`labelstream jobs logs -f 3fa900003fa9`" in said


@pytest.mark.parametrize(
    ("lease", "said"),
    [
        (None, "waits for a free worker"),
        (LeaseState("ada", 1, "expired"), "ada holds it no more: the next free worker goes on"),
        (LeaseState("ada", 1, "released"), "ada holds it no more: the next free worker goes on"),
        (LeaseState("ada", 1, "finished"), "the trainer is about to say so"),
    ],
    ids=["nobody", "expired", "released", "finished"],
)
async def test_an_open_job_says_who_holds_it(world: World, lease: LeaseState | None, said: str) -> None:
    await world.say(requested(FIRST), started(FIRST))
    assert said in shown(await state_of(world), lease)


async def test_a_cancelled_job_says_what_was_kept(world: World) -> None:
    await world.say(requested(FIRST), started(FIRST), epoch(FIRST, 2, 0.6), cancelled(FIRST, reason="wrong recipe"))
    said = shown(await state_of(world))
    assert "wrong recipe" in said
    assert "the weights of epoch 2, mAP50 0.600 on validation: default/jobs/x/weights.safetensors" in said
    assert "`labelstream jobs retry 3fa900003fa9` does it again" in said
    await world.say(requested(SECOND), cancelled(SECOND, kept=False))
    assert "nothing: no epoch had ended" in shown(await state_of(world, SECOND))


async def test_where_a_job_came_from_is_shown(world: World) -> None:
    weights = WeightsRef(id="77" * 32, weights=REPORT, architecture=REPORT)
    await world.say(requested(FIRST, cause="schedule", retry_of=SECOND, initial=weights))
    said = shown(await state_of(world))
    assert "by schedule, again for 3fb100003fb1" in said
    assert "with the weights 777777777777" in said


async def test_one_job_for_machines_holds_all_of_it(world: World) -> None:
    await world.say(requested(FIRST), started(FIRST), epoch(FIRST, 1, 0.4), finished(FIRST))
    state = await state_of(world)
    told = everything_as_json(Shown(state, None, Model(id="ab")), as_entry(state))
    assert told["request"]["recipe"]["epochs"] == 3
    assert told["attempts"] == [{"attempt": 1, "worker": "ada", "time_ms": BEGAN_MS + 20_000}]
    assert [one["map50"] for one in told["history"]] == [0.4]
    assert told["result"]["test"]["map50_interval"] == {"low": 0.85, "high": 0.9400000000000001}
    assert told["model"]["id"] == "ab"


def test_a_recipe_in_one_line_names_what_is_on_and_no_whole_network() -> None:
    said = recipe_in_words(
        {"lr0": 0.1, "architecture": {"nc": 80}, "weights": None, "on_the_fly": {"fliplr": 0.5, "flipud": 0.0}}
    )
    assert said == "architecture: own yaml, lr0 0.1, on_the_fly: fliplr 0.5"
