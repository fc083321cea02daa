"""What alerts and dashboards ask of broker and store is told by those that run here, under the same names."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from labelstream_local.asking import get
from labelstream_local.process import wait_until
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer

from .asked import FOREIGN, ROOT

PATIENCE_S = 60
SINCE_4 = {"rabbitmq_unreachable_cluster_peers_count"}  # an older broker leaves that alert silent


def names_at(port: int, asked: set[str]) -> set[str]:
    """Return which of the names a server tells; it may take it a while to come up, and to count."""
    until, there = time.monotonic() + PATIENCE_S, set[str]()
    while there != asked and time.monotonic() < until:
        time.sleep(0.2)
        with suppress(httpx.HTTPError):
            text = get(f"http://127.0.0.1:{port}/metrics").text
            there = asked & set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    return there


@pytest.fixture
def rabbitmq(tmp_path: Path) -> Iterator[RabbitServer]:
    """A broker as a stack has it: that of other tests tells nothing."""
    server = RabbitServer(tmp_path / "rabbitmq")
    server.start()
    yield server
    server.stop()


@pytest.mark.broker
def test_the_broker_tells_all_that_is_asked_of_it(rabbitmq: RabbitServer) -> None:
    asked = {name for name in FOREIGN if name.startswith("rabbitmq_")} - SINCE_4
    assert names_at(rabbitmq.ports.prometheus, asked) == asked
    text = get(f"http://127.0.0.1:{rabbitmq.ports.prometheus}/metrics").text
    version = re.search(r'rabbitmq_version="(\d+)', text)
    assert version is not None
    assert all((f"# TYPE {name} " in text) == (int(version[1]) >= 4) for name in SINCE_4)


@pytest.mark.parametrize("file", ["deploy/compose/rabbitmq.conf", "deploy/k8s/broker/rabbitmq.conf"])
def test_a_broker_elsewhere_tells_of_each_queue_and_of_alarms_in_one_answer(file: str) -> None:
    told = (ROOT / file).read_text().splitlines()
    assert "prometheus.return_per_object_metrics = true" in told
    assert "prometheus.tcp.port = 15692" in told


@pytest.mark.store
def test_the_store_tells_all_that_is_asked_of_it(seaweedfs: WeedServer) -> None:
    assert wait_until(seaweedfs.ready, lambda: True, PATIENCE_S)  # it was asked to store something
    asked = {name.removesuffix("_bucket") for name in FOREIGN if name.startswith("SeaweedFS_")}
    assert names_at(seaweedfs.ports.metrics, asked) == asked
