"""What is said about an absent broker."""

from __future__ import annotations

from labelstream.service.health import Health
from labelstream.streams.rabbitmq_recovery import Outages


def reason(health: Health) -> str:
    return str(health.report()["waiting"]["broker"]["reason"])


def test_we_are_ready_again_only_when_nobody_waits_for_the_broker() -> None:
    health = Health()
    outages = Outages(health)

    outages.waiting("reader of a", "refused")
    outages.waiting("publisher of b", "no such stream")
    outages.over("reader of a")
    assert not health.is_ready
    assert reason(health) == "publisher of b: no such stream"
    outages.over("publisher of b")

    assert health.is_ready


def test_whoever_did_not_wait_changes_nothing_by_being_well() -> None:
    health = Health()
    outages = Outages(health)
    outages.waiting("reader of a", "refused")

    outages.over("publisher of b")

    assert reason(health) == "reader of a: refused"
