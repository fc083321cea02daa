"""What an operator sees: every metric that an alert asks for is there; what seldom happens stands at zero before."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from labelstream.bundle import CONFIDENCE_BINS, Reference
from labelstream.service.metrics import HealthCollector

ALERTS = Path(__file__).parents[3] / "deploy/observability/alerts/inference.yml"
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
TESTED = Reference(images=9, detections=200, class_counts={0: 200}, confidences=(*(0,) * (CONFIDENCE_BINS - 1), 200))


@pytest.fixture
async def told(world, red_picture) -> dict[str, list[dict[str, str]]]:
    """What a replica tells Prometheus after a hundred answers: the labels of each sample, by its name."""
    bundle = world.bundle("m1", reference=TESTED)
    await world.publish(bundle)
    world.grant(bundle)
    await world.say(world.promotion(bundle, 1))
    async with world.replica(drift_window=100) as client:
        awaited = list(HealthCollector(world.health).collect())  # nothing serves yet
        await world.heard()
        for _ in range(100):
            await client.post("/v1/predict", content=red_picture)
        exported = text_string_to_metric_families((await client.get("/metrics")).text)
        samples = [sample for metric in (*awaited, *exported) for sample in metric.samples]
    names = {sample.name for sample in samples}
    return {name: [sample.labels for sample in samples if sample.name == name] for name in names}


async def test_every_series_that_an_alert_asks_for_is_told(told) -> None:
    for rule in RULES:
        asked = re.findall(r"(labelstream_\w+)(?:\{([^}]*)\})?", rule["expr"])
        assert asked, rule["alert"]
        for name, selector in asked:
            wanted = re.findall(r'(\w+)(=~?)"([^"]*)"', selector)
            assert any(fits(labels, wanted) for labels in told.get(name, [])), (rule["alert"], name, selector)


async def test_what_has_not_happened_yet_stands_at_zero(told) -> None:
    outcomes = {labels["outcome"] for labels in told["labelstream_activations_total"] if labels["project"] == "default"}
    assert outcomes >= {"activated", "refused", "reverted"}
    assert {labels["rule"] for labels in told["labelstream_problems_total"]} >= {"server.busy", "server.fault"}


def fits(labels: dict[str, str], wanted: list[tuple[str, str, str]]) -> bool:
    return all(
        re.fullmatch(value, labels.get(label, "")) if operator == "=~" else labels.get(label) == value
        for label, operator, value in wanted
    )
