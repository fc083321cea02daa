"""A real process under `serve`: signals, exit codes, logs and the health routes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from labelstream.service.serve import ANOTHER_WRITER, FAULT, MISCONFIGURED, STOPPED
from labelstream_local.ports import choose

PROGRAM = Path(__file__).with_name("a_service.py")
SETTINGS = {
    "LABELSTREAM_BROKER__USERNAME": "u",
    "LABELSTREAM_BROKER__PASSWORD": "p",
    "LABELSTREAM_STORE__ENDPOINT_URL": "http://127.0.0.1:1",
    "LABELSTREAM_STORE__ACCESS_KEY": "a",
    "LABELSTREAM_STORE__SECRET_KEY": "s",
}


def environment(**more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LABELSTREAM_")}
    return {**clean, **SETTINGS, **more}


def run(what: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, PROGRAM, what],
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def served():
    (port,) = choose(1)
    process = subprocess.Popen(
        [sys.executable, PROGRAM, "waits"], env=environment(LABELSTREAM_HTTP_PORT=str(port)), stdout=subprocess.PIPE
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def answer(url: str) -> httpx.Response:
    for _ in range(300):
        try:
            return httpx.get(url, timeout=30)
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"{url} never answered")


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_with_code_0(served, which):
    process, url = served
    assert answer(f"{url}/healthz").text == "ok"
    process.send_signal(which)
    assert process.wait(30) == STOPPED
    events = [json.loads(line)["event"] for line in process.stdout.read().splitlines()]
    assert events == ["service.started", "service.stopping", "work.tidied", "service.stopped"]


def test_readyz_says_what_is_awaited_and_metrics_say_it_too(served):
    _, url = served
    ready = answer(f"{url}/readyz")
    assert ready.status_code == 503
    assert ready.json()["waiting"]["broker"]["reason"] == "nobody listens"
    metrics = answer(f"{url}/metrics").text
    assert 'labelstream_waiting_seconds{what="broker"}' in metrics
    assert "labelstream_ready 0.0" in metrics


def test_a_fault_ends_with_code_1_and_a_traceback_without_local_variables():
    ended = run("fails")
    assert ended.returncode == FAULT
    (line,) = [json.loads(each) for each in ended.stdout.splitlines() if "service.failed" in each]
    assert line["exception"][0]["exc_value"] == "the handler broke"
    assert "a local secret" not in ended.stdout + ended.stderr


def test_a_missing_setting_ends_with_code_2_and_its_name():
    ended = run("waits", LABELSTREAM_BROKER__STREAM_PORT="x")
    assert ended.returncode == MISCONFIGURED
    assert "LABELSTREAM_BROKER__STREAM_PORT" in ended.stderr


def test_another_live_writer_ends_it_with_code_3():
    ended = run("is-second")
    assert ended.returncode == ANOTHER_WRITER
    assert "run one instance only" in ended.stdout
