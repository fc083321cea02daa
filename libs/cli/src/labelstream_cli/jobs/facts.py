"""What a job comes to: figures that the list, the page of one job and `--wait` all tell."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from labelstream.events.training import (
    TrainingCancelled,
    TrainingFailed,
    TrainingFinished,
    TrainingProgressed,
)
from labelstream.trainings import JobState


@dataclass(frozen=True)
class Reached:
    """How well a job's weights do: on test where it finished, else the best epoch so far on validation."""

    map50: float
    on: Literal["test", "val"]


def reached(state: JobState) -> Reached | None:
    """Return how well the weights do; None while no epoch has ended."""
    if isinstance(state.ended, TrainingFinished):
        return Reached(state.ended.test.map50, "test")
    best = _best(state)
    return Reached(best.map50, "val") if best else None


def epochs_planned(state: JobState) -> int | None:
    """Return how many epochs the job is to have at most."""
    if state.progress is not None:
        return state.progress.epochs
    planned = state.requested.recipe.get("epochs")
    return planned if isinstance(planned, int) else None


def best_epoch(state: JobState) -> int | None:
    """Return the epoch whose weights were kept, or the best so far."""
    ended = state.ended
    if isinstance(ended, TrainingFinished | TrainingCancelled) and ended.best_epoch is not None:
        return ended.best_epoch
    best = _best(state)
    return best.epoch if best else None


def _best(state: JobState) -> TrainingProgressed | None:
    """Return the best epoch so far, by the figure that the trainer chooses it by."""
    return max((epoch for epoch, _ in state.epochs), key=lambda epoch: epoch.map50_95, default=None)


def left_s(state: JobState, now_ms: float | None = None) -> float | None:
    """Return about how long an open job still takes; None when nobody knows."""
    if state.state != "started" or not state.epochs:
        return None
    last, told_ms = state.epochs[-1]
    since_ms = max(told_ms, state.attempts[-1].time_ms)  # nobody trained between two attempts
    return max(0.0, last.eta_s - ((now_ms or time.time() * 1000) - since_ms) / 1000)


def took_s(state: JobState) -> float | None:
    """Return how long an ended job took, from the first worker on; None when none had begun."""
    if state.ended_ms is None or not state.attempts:
        return None
    return max(0.0, (state.ended_ms - state.attempts[0].time_ms) / 1000)


def reason(state: JobState) -> str:
    """Say why a job ended without a model; empty for others."""
    match state.ended:
        case TrainingFailed(rule=rule, reason=said):
            return f"{rule}: {said}"
        case TrainingCancelled(reason=said):
            return said
    return ""


def as_entry(state: JobState) -> dict[str, Any]:
    """Return a job as lists have it, for machines."""
    best = reached(state)
    return {
        "job": state.job,
        "project": state.project,
        "state": state.state,
        "cause": state.requested.cause,
        "retry_of": state.requested.retry_of,
        "dataset": state.requested.dataset.id,
        "attempt": state.attempt,
        "worker": state.worker or None,
        "epoch": state.epochs_told,
        "epochs": epochs_planned(state),
        "map50": best.map50 if best else None,
        "map50_on": best.on if best else None,
        "eta_s": left_s(state),
        "took_s": took_s(state),
        "requested": iso(state.requested_ms),
        "started": iso(state.attempts[0].time_ms if state.attempts else None),
        "ended": iso(state.ended_ms),
        "reason": reason(state) or None,
    }


def iso(time_ms: int | None) -> str | None:
    """Return a time for machines."""
    return None if time_ms is None else datetime.fromtimestamp(time_ms / 1000, UTC).isoformat()
