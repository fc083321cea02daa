"""Quantiles of what a Prometheus histogram counted."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Buckets:
    """How many observations lay at or below each bound."""

    counts: dict[float, float] = field(default_factory=dict)

    def add(self, bound: str, count: float) -> None:
        """Add a bucket of a series; one of an earlier moment counts negative."""
        at = float(bound)  # the last one is called +Inf
        self.counts[at] = self.counts.get(at, 0.0) + count


def quantile(buckets: Buckets, share: float) -> float | None:
    """Return the value below which this share of the observations lies, as Prometheus estimates it.

    None when nothing was observed; the largest finite bound when it lies beyond.
    """
    bounds = sorted(buckets.counts)
    total = buckets.counts[bounds[-1]] if bounds else 0.0
    if total <= 0:
        return None
    wanted, below, under = share * total, 0.0, 0.0
    for bound in bounds:
        count = buckets.counts[bound]
        if count >= wanted:
            if bound == float("inf"):
                return below
            return below + (bound - below) * (wanted - under) / max(count - under, 1e-9)
        below, under = bound, count
    return below
