"""What /readyz says: a replica with models is ready, whatever else is away."""

from __future__ import annotations

from inference.serving.models import Models
from inference.serving.standing import Dispensable, Standing
from labelstream.service.health import Health


def test_a_replica_without_its_models_is_not_ready() -> None:
    health = Health()
    standing = Standing(health, Models(["default", "other"]))
    assert set(health.report()["waiting"]) == {"model of default", "model of other"}
    standing.refused("default", "signature.invalid", "it was changed")
    assert "signature.invalid" in health.report()["waiting"]["model of default"]["reason"]
    assert "signature.invalid" in health.report()["degraded"]["model of default"]


def test_the_absence_of_the_broker_is_shown_and_leaves_the_replica_ready() -> None:
    health = Health()
    beside = Dispensable(health)
    beside.waiting("broker", "connection refused")
    assert health.is_ready
    assert health.report()["degraded"] == {"broker": "connection refused"}
    beside.ready("broker")
    assert health.report()["degraded"] == {}
