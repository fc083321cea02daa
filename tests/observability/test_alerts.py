"""The alerts: they name the cause, fire when they should, and each has a runbook."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy/observability/alerts"
RUNBOOKS = ROOT / "docs/operations.md"
FILES = sorted(path.stem for path in ALERTS.glob("*.yml"))
NEEDS_PROMTOOL = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not on this machine: `make prometheus` installs it"
)


def cases(file: str) -> Path:
    return Path(__file__).with_name(f"{file}_rules_test.yml")


def groups(file: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((ALERTS / f"{file}.yml").read_text())["groups"]
    return found


def rules(file: str) -> list[dict[str, Any]]:
    return [rule for group in groups(file) for rule in group["rules"]]


ALL = [rule for file in FILES for rule in rules(file)]
NAMES = [rule["alert"] for rule in ALL]


def test_no_two_alerts_have_one_name() -> None:
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule["alert"])
def test_an_alert_names_the_cause_and_says_what_to_do(rule: dict[str, Any]) -> None:
    said = rule["annotations"]
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert "{{ $labels." in said["summary"]
    assert said["description"].endswith(".")
    assert "{{" not in said["description"]
    assert said["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    _, _, runbooks = RUNBOOKS.read_text().partition("\n## Runbooks\n")
    runbooks = runbooks.partition("\n## ")[0]
    assert sorted(re.findall(r"^#### (\w+)$", runbooks, re.MULTILINE)) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_says_what_it_means_where_to_look_and_what_to_do(name: str) -> None:
    runbook = RUNBOOKS.read_text().partition(f"\n#### {name}\n")[2].partition("\n##")[0]
    for part in ("**Means**", "**Look**", "**Do**"):
        assert part in runbook


@NEEDS_PROMTOOL
@pytest.mark.parametrize("file", FILES)
def test_prometheus_accepts_the_alerts(file: str) -> None:
    command = ["promtool", "check", "rules", str(ALERTS / f"{file}.yml")]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr


@NEEDS_PROMTOOL
@pytest.mark.parametrize("file", FILES)
def test_each_alert_fires_when_it_should_and_not_before(file: str, tmp_path: Path) -> None:
    # The cases say what an alert's summary comes to. What else it says is the same each time.
    told = groups(file)
    for group in told:
        for rule in group["rules"]:
            rule["annotations"] = {"summary": rule["annotations"]["summary"]}
    (tmp_path / f"{file}.yml").write_text(yaml.safe_dump({"groups": told}, allow_unicode=True))
    shutil.copy(cases(file), tmp_path)
    command = ["promtool", "test", "rules", cases(file).name]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize("file", FILES)
def test_every_alert_has_a_case_in_which_it_fires(file: str) -> None:
    tests = yaml.safe_load(cases(file).read_text())["tests"]
    tried = [one for case in tests for one in case["alert_rule_test"]]
    assert {one["alertname"] for one in tried if one["exp_alerts"]} == {rule["alert"] for rule in rules(file)}
