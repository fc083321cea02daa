from __future__ import annotations

from dataclasses import dataclass, field

from annotation_ingest.inputs.pace import Pace
from labelstream.service.health import Health


@dataclass
class Clock:
    """Time that passes only when somebody sleeps."""

    health: Health = field(default_factory=Health)
    now: float = 1000.0
    seen: list[object] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.seen.append(self.health.report()["input annotations"])
        self.now += seconds

    def pace(self, messages_per_s: float | None) -> Pace:
        return Pace("annotations", messages_per_s, self.health, self.time, self.sleep)


async def test_no_more_than_the_quota_comes_through_in_the_long_run() -> None:
    clock = Clock()
    pace = clock.pace(10)
    for _ in range(60):
        await pace.keep(pace.at_most(100))
    assert 59 - 1 <= clock.now - 1000 <= 60  # 600 messages; a second's worth may come at once


async def test_a_quota_that_is_not_used_up_delays_nothing() -> None:
    clock = Clock()
    pace = clock.pace(10)
    for _ in range(5):
        await pace.keep(5)
        clock.now += 1
    assert clock.now == 1005
    assert clock.seen == []


async def test_what_was_not_used_is_saved_for_a_second_at_most() -> None:
    clock = Clock()
    pace = clock.pace(1)
    await pace.keep(1)
    clock.now += 3600
    for _ in range(10):
        await pace.keep(1)
    assert clock.now >= 1000 + 3600 + 9


async def test_readyz_says_that_an_input_is_paced_only_while_it_is() -> None:
    clock = Clock()
    pace = clock.pace(0.5)
    assert pace.at_most(100) == 1
    await pace.keep(1)
    await pace.keep(1)
    assert clock.seen == [{"paced": "its quota of 0.5 messages a second holds it up"}] * len(clock.seen)
    assert clock.seen
    assert clock.health.report()["input annotations"] is None


async def test_without_a_quota_nothing_is_paced() -> None:
    clock = Clock()
    pace = clock.pace(None)
    assert pace.at_most(100) == 100
    await pace.keep(1_000_000)
    assert clock.now == 1000
