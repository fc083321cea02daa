"""The alerts for annotation-ingest: they name the cause, and fire when they should.

`tests/ingest` holds them to the metrics that there are.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ALERTS = Path(__file__).parents[2] / "deploy/observability/alerts/ingest.yml"
CASES = Path(__file__).with_name("ingest_rules_test.yml")
NEEDS_PROMTOOL = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not on this machine: it comes with Prometheus"
)


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_names_the_cause_and_says_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert "{{ $labels." in rule["annotations"]["summary"]
    assert rule["annotations"]["description"].endswith(".")


@NEEDS_PROMTOOL
def test_prometheus_accepts_the_alerts() -> None:
    said = subprocess.run(["promtool", "check", "rules", str(ALERTS)], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr


@NEEDS_PROMTOOL
def test_each_alert_fires_when_it_should_and_not_before(tmp_path: Path) -> None:
    for file in (ALERTS, CASES):
        shutil.copy(file, tmp_path)
    command = ["promtool", "test", "rules", CASES.name]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr


def test_every_alert_has_a_case() -> None:
    cases = yaml.safe_load(CASES.read_text())["tests"]
    tried = {one["alertname"] for case in cases for one in case["alert_rule_test"] if one["exp_alerts"]}
    assert tried == {rule["alert"] for rule in rules()}
