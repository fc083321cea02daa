"""What a service says about itself under /readyz."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from labelstream.service.health import Health


@pytest.fixture
def clock() -> Callable[[], float]:
    """A clock that is ten seconds further at each look."""
    looks: Iterator[int] = count(0, 10)
    return lambda: float(next(looks))


def test_what_is_awaited_is_counted_from_its_first_word_on(clock: Callable[[], float]) -> None:
    health = Health(clock)
    health.waiting("broker", "refused")
    assert health.report()["waiting"] == {"broker": {"reason": "refused", "for_s": 10.0}}
    health.waiting("broker", "no route")
    said = health.report()["waiting"]["broker"]
    assert said["reason"] == "no route"
    assert said["for_s"] > 10
    assert not health.is_ready


def test_what_is_awaited_again_is_counted_anew(clock: Callable[[], float]) -> None:
    health = Health(clock)
    health.waiting("broker", "refused")
    health.ready("broker")
    assert health.is_ready
    health.waiting("broker", "refused")
    assert health.report()["waiting"]["broker"]["for_s"] == 10.0


def test_a_degraded_service_is_ready_and_says_what_somebody_should_look_at() -> None:
    health = Health()
    health.degraded("disk of the audit log", "no space left")
    assert health.is_ready
    assert health.report()["degraded"] == {"disk of the audit log": "no space left"}
    health.degraded("disk of the audit log", None)
    assert health.report()["degraded"] == {}


def test_facts_and_how_far_each_stream_was_read_are_told() -> None:
    health = Health()
    health.fact("model", "m1")
    health.handled("annotations", 3)
    health.handled("annotations", 4)
    report = health.report()
    assert (report["ready"], report["model"]) == (True, "m1")
    assert report["streams"] == {"annotations": {"offset": 4}}
