"""The alerts: they name the cause, and fire when they should.

`tests/ingest` and the trainer's own tests hold them to the metrics that there are.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ALERTS = Path(__file__).parents[2] / "deploy/observability/alerts"
SERVICES = sorted(path.stem for path in ALERTS.glob("*.yml"))
NEEDS_PROMTOOL = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not on this machine: it comes with Prometheus"
)


def cases(service: str) -> Path:
    return Path(__file__).with_name(f"{service}_rules_test.yml")


def rules(service: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((ALERTS / f"{service}.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALL = [rule for service in SERVICES for rule in rules(service)]


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule["alert"])
def test_an_alert_names_the_cause_and_says_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert "{{ $labels." in rule["annotations"]["summary"]
    assert rule["annotations"]["description"].endswith(".")


@NEEDS_PROMTOOL
@pytest.mark.parametrize("service", SERVICES)
def test_prometheus_accepts_the_alerts(service: str) -> None:
    command = ["promtool", "check", "rules", str(ALERTS / f"{service}.yml")]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr


@NEEDS_PROMTOOL
@pytest.mark.parametrize("service", SERVICES)
def test_each_alert_fires_when_it_should_and_not_before(service: str, tmp_path: Path) -> None:
    for file in (ALERTS / f"{service}.yml", cases(service)):
        shutil.copy(file, tmp_path)
    command = ["promtool", "test", "rules", cases(service).name]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_every_alert_has_a_case(service: str) -> None:
    tests = yaml.safe_load(cases(service).read_text())["tests"]
    tried = {one["alertname"] for case in tests for one in case["alert_rule_test"] if one["exp_alerts"]}
    assert tried == {rule["alert"] for rule in rules(service)}
