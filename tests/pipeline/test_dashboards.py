"""Every panel of every dashboard has figures, from a Prometheus that watches the reference stack; and alerts fire."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from labelstream_local.asking import get
from labelstream_local.prometheus import PROMETHEUS, PrometheusServer
from labelstream_local.stack import Stack

from .conftest import Reference
from .drawing import shot
from .panels import questions
from .watching import PATIENCE_S, eventually, predict

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def watching(reference: Reference) -> Iterator[PrometheusServer]:
    """The Prometheus of the reference stack, while people ask for detections and for models."""
    if PROMETHEUS not in reference.stack.record.on_request:
        pytest.skip("Prometheus is not on this machine: `make prometheus` installs it")
    over = threading.Event()
    asking = threading.Thread(target=_ask, args=(reference.stack, over), daemon=True)
    asking.start()
    yield reference.stack.prometheus
    over.set()
    asking.join(PATIENCE_S)


def _ask(stack: Stack, over: threading.Event) -> None:
    image = shot("watched", "watched").image
    while not over.wait(0.1):
        with suppress(httpx.HTTPError, AssertionError):  # a busy machine may take its time once
            predict(stack, image)
            get(f"{stack.url('exporter-serve')}/v1/projects/default/models")


async def test_prometheus_reaches_every_program_broker_and_store(
    reference: Reference, watching: PrometheusServer
) -> None:
    there = {*reference.stack.services, "rabbitmq", "seaweedfs"}
    await eventually(lambda: {each.labels["program"] for each in watching.query("up == 1")} == there)


async def test_every_panel_of_every_dashboard_has_figures(watching: PrometheusServer) -> None:
    left = {str(question): question for question in questions()}
    why: dict[str, str | None] = {}

    def all_answered() -> bool:
        for name, question in list(left.items()):
            why[name] = question.answered(watching)
            if why[name] is None:
                del left[name]
        return not left

    try:
        await eventually(all_answered)  # a rate needs two looks at what it is of
    except TimeoutError:
        pytest.fail("\n".join(f"{name}: {why[name]}" for name in left))


async def test_every_alert_can_be_evaluated(watching: PrometheusServer) -> None:
    await eventually(lambda: all(rule.evaluated for rule in watching.rules()))
    wrong = {rule.name: rule.error for rule in watching.rules() if rule.error}
    assert not wrong
    assert {rule.name for rule in watching.rules()} >= {"ServiceDown", "StreamLags", "BrokerUnreachable"}


async def test_an_alert_fires_for_a_program_that_stands_still_and_ends_when_it_goes_on(
    reference: Reference, watching: PrometheusServer
) -> None:
    program = "inference-annotate"

    def is_called_for() -> bool:
        alerts = [each for each in watching.alerts() if each.name == "ServiceDown" and each.state == "firing"]
        return any(each.labels["program"] == program for each in alerts)

    pid = reference.stack.supervisor.processes()[program].pid
    assert pid is not None
    await eventually(lambda: not is_called_for())
    os.kill(pid, signal.SIGSTOP)
    try:
        await eventually(is_called_for)
    finally:
        os.kill(pid, signal.SIGCONT)
    await eventually(lambda: not is_called_for())
