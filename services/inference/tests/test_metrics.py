"""What an operator sees: every metric that an alert asks for is there; what seldom happens stands at zero before."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
import yaml
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from labelstream.bundle import CONFIDENCE_BINS, Reference
from labelstream.events.base import MODEL_EVENTS
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
    assert outcomes >= {"activated", "refused", "ungranted", "reverted"}
    assert {labels["rule"] for labels in told["labelstream_problems_total"]} >= {"server.busy", "server.fault"}


def fits(labels: dict[str, str], wanted: list[tuple[str, str, str]]) -> bool:
    return all(
        re.fullmatch(value, labels.get(label, "")) if operator == "=~" else labels.get(label) == value
        for label, operator, value in wanted
    )


def value(text: str, name: str, **wanted: str) -> list[float]:
    samples = (sample for metric in text_string_to_metric_families(text) for sample in metric.samples)
    return [each.value for each in samples if each.name == name and wanted.items() <= each.labels.items()]


async def told_by(client, name: str, **wanted: str) -> list[float]:
    return value((await client.get("/metrics")).text, name, **wanted)


async def test_the_model_in_service_is_one_series_and_the_one_before_is_gone(world) -> None:
    await world.promote("m1", 1)
    async with world.replica() as client:
        await world.heard()
        wanted = {"project": "default", "artifact": "onnx-fp32", "dataset": "d" * 64}
        assert await told_by(client, "labelstream_model_info", model="m1", **wanted) == [1]
        await world.promote("m2", 2)
        await world.heard()
        assert await told_by(client, "labelstream_model_info", model="m2", **wanted) == [1]
        assert await told_by(client, "labelstream_model_info") == [1]


async def test_the_queue_and_its_limit_are_told_and_a_run_on_the_cpu_is_a_batch_of_one(world, red_picture) -> None:
    await world.promote("m1", 1)
    async with world.replica(queue_size=7) as client:
        await world.heard()
        before = await batches(client)
        await client.post("/v1/predict", content=red_picture)
        assert await told_by(client, "labelstream_queue_limit") == [7]
        assert await told_by(client, "labelstream_queue_waiting") == [0]
        run, of_one = (after - earlier for after, earlier in zip(await batches(client), before, strict=True))
        assert run == of_one > 0


async def batches(client) -> tuple[float, float]:
    """Return how many batches were run, and how many of them with one image; whoever else ran some in this process."""
    (every,) = await told_by(client, "labelstream_batch_size_count")
    (of_one,) = await told_by(client, "labelstream_batch_size_bucket", le="1.0")
    return every, of_one


async def promote_annotated(world, model: str, number: int, cause: str = "policy") -> None:
    """Promote a model whose newest annotation is ten minutes old."""
    bundle = world.bundle(model)
    await world.publish(bundle)
    world.grant(bundle)
    said = {"annotated_ms": int((time.time() - 600) * 1000), "cause": cause}
    await world.say(world.promotion(bundle, number).model_copy(update=said))


async def test_the_time_from_label_to_live_is_measured_once_a_promotion_and_not_at_a_restart(world) -> None:
    async def measured(client) -> list[float]:
        labels = {"project": "default"}
        return [
            *await told_by(client, "labelstream_label_to_live_seconds_count", **labels),
            *await told_by(client, "labelstream_label_to_live_seconds_bucket", le="300.0", **labels),
            *await told_by(client, "labelstream_label_to_live_seconds_bucket", le="900.0", **labels),
        ]

    await world.promote("m1", 1)
    async with world.replica() as client:
        await world.heard()
        count, short, middle = await measured(client)
        await promote_annotated(world, "m2", 2)
        await world.heard()
        assert await measured(client) == [count + 1, short, middle + 1]
        assert 600 <= (await client.get("/readyz")).json()["label_to_live"]["default"] < 900
        await promote_annotated(world, "m3", 3, "rollback")
        await promote_annotated(world, "m4", 4, "edition")
        while (await world.heard()).model != "m4":
            pass
        assert await measured(client) == [count + 1, short, middle + 1]
    await promote_annotated(world, "m5", 5)  # while it is down
    async with world.replica() as client:
        while (await world.heard()).model != "m5":
            pass
        assert await measured(client) == [count + 2, short, middle + 2]
    async with world.replica() as client:
        assert (await world.heard()).model == "m5"
        while "label_to_live" not in (said := (await client.get("/readyz")).json()):
            await world.broker.changed(0.01)  # it serves before it has read what was promoted
        assert 600 <= said["label_to_live"]["default"] < 900
        assert await measured(client) == [count + 2, short, middle + 2]


async def test_a_replica_that_begins_with_an_old_promotion_measures_nothing(world) -> None:
    await promote_annotated(world, "m1", 1)
    name, labels = "labelstream_label_to_live_seconds_count", {"project": "default"}
    before = REGISTRY.get_sample_value(name, labels) or 0
    async with world.replica() as client:
        await world.heard()
        assert await told_by(client, name, **labels) == [before]


async def test_how_far_behind_the_promotions_a_replica_is_is_told(world) -> None:
    await world.promote("m1", 1)
    async with world.replica() as client:
        await world.heard()
        wanted = {"stream": MODEL_EVENTS, "reader": "inference"}
        while await told_by(client, "labelstream_lag_messages", **wanted) != [0]:
            await world.broker.changed(0.01)
        assert await told_by(client, "labelstream_lag_seconds", **wanted) == [0]
