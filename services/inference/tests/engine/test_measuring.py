"""Which of two networks is faster, beside whatever else the machine does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from inference.engine.measuring import ENOUGH_S, ROUNDS, Runner, beats


def running(*seconds: float) -> tuple[Runner, list[float]]:
    """A network whose runs take so long, the last of them for ever; and the runs that it did."""
    times, done = list(seconds), []

    def trial() -> float:
        done.append(times[min(len(done), len(times) - 1)])
        return done[-1]

    return Runner(trial), done


@pytest.mark.parametrize(
    ("challenger", "champion", "wins"), [(1.0, 1.1, True), (1.1, 1.0, False), (1.0, 1.0, False), (0.98, 1.0, False)]
)
def test_the_faster_one_wins_and_the_one_that_was_there_a_draw(challenger: float, champion: float, wins: bool) -> None:
    assert beats(running(challenger)[0], running(champion)[0]) is wins


def test_the_best_run_counts_because_a_busy_machine_only_slows_runs_down() -> None:
    disturbed, _ = running(9.0, 8.0, 1.0)
    steady, _ = running(1.2)
    assert not beats(disturbed, steady), "it was given up after two runs, which both were bad"
    disturbed, _ = running(9.0, 1.0)
    assert beats(disturbed, running(1.2)[0])


def test_who_is_much_slower_is_given_up_after_two_runs() -> None:
    slow, done = running(2.0)
    assert not beats(slow, running(1.0)[0])
    assert len(done) == 2


def test_who_is_nearly_as_fast_gets_all_runs() -> None:
    near, done = running(1.1)
    assert not beats(near, running(1.0)[0])
    assert len(done) == ROUNDS


def test_large_networks_are_told_apart_by_fewer_runs() -> None:
    clock: Iterator[float] = iter([0.0, ENOUGH_S / 2 + 1, ENOUGH_S + 1])
    near, done = running(1.1)
    assert not beats(near, running(1.0)[0], clock=lambda: next(clock))
    assert len(done) < ROUNDS
