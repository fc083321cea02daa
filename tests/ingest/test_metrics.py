"""Every metric that an alert asks for is there."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from labelstream.service.health import Health
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer

from .program import Program, until_answered
from .writing import write

ALERTS = Path(__file__).parents[2] / "deploy/observability/alerts/ingest.yml"
PATIENCE_S = 120


@pytest.mark.broker
@pytest.mark.store
@pytest.mark.slow
async def test_every_metric_that_an_alert_asks_for_is_exported_by_a_running_service(
    fresh_rabbitmq: RabbitServer, fresh_seaweedfs: WeedServer, tmp_path: Path
) -> None:
    program = Program(tmp_path, fresh_rabbitmq.settings, fresh_seaweedfs.settings)
    broker = RabbitBroker(fresh_rabbitmq.settings, Health(), "test")
    await broker.ensure_stream("annotations")
    await write(fresh_rabbitmq.settings, "annotations", [b"noise"])
    program.start()
    try:
        await until_answered(broker, 1)
        await _samples(program, until="labelstream_offset")  # the answer is heard before its offset is noted
        await asyncio.to_thread(fresh_rabbitmq.kill)  # so that it waits for something
        exported = await _samples(program, until="labelstream_waiting_seconds")
    finally:
        program.kill()
        await broker.close()
    for rule in _rules():
        asked = re.findall(r"labelstream_\w+", rule["expr"])
        assert asked
        assert set(asked) <= exported, rule["alert"]


def _rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


async def _samples(program: Program, until: str) -> set[str]:
    """Return the names of what the service exports, once one is there."""
    async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient(timeout=60) as client:
        while True:
            text = (await client.get(f"{program.url}/metrics")).text
            names = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
            if until in names:
                return names
            await asyncio.sleep(0.1)
