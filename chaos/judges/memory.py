"""Memory stays within limits, and does not grow from one end of a program's life to the other."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from chaos.vitals import Weight

MIB = 1 << 20
# With everything that they started, such as a training: what a small machine has room for.
LIMITS_MIB = {
    "annotation-ingest": 1000,
    "augmenter": 1200,
    "trainer": 2500,
    "exporter": 600,
    "exporter-work": 2000,
    "exporter-serve": 600,
    "inference": 1000,
    "inference-annotate": 600,
    "rabbitmq": 1500,
    "seaweedfs": 1200,
}
STEADY = ("annotation-ingest", "augmenter", "exporter", "exporter-serve", "inference", "inference-annotate")
WARM_S, LEAST_S = 120.0, 300.0  # a life that is shorter than that says nothing
MOST_GROWTH, MOST_MORE_MIB = 1.3, 60


def memory(weights: Mapping[str, Sequence[Weight]]) -> Iterator[str]:
    """Judge all programs."""
    for program, looks in weights.items():
        most = max(one.bytes for one in looks) / MIB
        if most > LIMITS_MIB.get(program, 1000):
            yield f"{program} held {most:.0f} MiB, and {LIMITS_MIB.get(program, 1000)} are the limit"
        if program in STEADY:
            yield from _growth(program, looks)


def _growth(program: str, looks: Sequence[Weight]) -> Iterator[str]:
    for _, life in groupby(looks, key=lambda one: one.pid):
        lived = list(life)
        warm = [one.bytes / MIB for one in lived if one.at >= lived[0].at + WARM_S]
        if lived[-1].at - lived[0].at < LEAST_S or len(warm) < 10:
            continue
        third = len(warm) // 3
        early, late = statistics.median(warm[:third]), statistics.median(warm[-third:])
        if late > max(early * MOST_GROWTH, early + MOST_MORE_MIB):
            yield f"{program} grew from {early:.0f} to {late:.0f} MiB in {lived[-1].at - lived[0].at:.0f} s"
