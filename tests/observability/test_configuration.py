"""What Prometheus and Alertmanager are told: their own tools accept it, and it fits the programs that there are."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from labelstream_local.process import StartFailed
from labelstream_local.prometheus import PrometheusServer, Target, find_prometheus, sooner
from labelstream_local.services import NAMES as PROGRAMS

from .asked import ROOT
from .test_alerts import ALERTS, NAMES, NEEDS_PROMTOOL, rules

FOLDER = ROOT / "deploy/observability"
SCALED = {"augmenter-work", "trainer-work"}  # more workers of a decider, on machines of their own
URL_FILES_SINCE = (0, 26)  # of Alertmanager


def prometheus() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    return found


def alertmanager() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / "alertmanager.yml").read_text())
    return found


def test_every_program_is_watched() -> None:
    (services,) = (job for job in prometheus()["scrape_configs"] if job["job_name"] == "services")
    (names,) = (found["names"] for found in services["dns_sd_configs"])
    assert set(names) == {*PROGRAMS, *SCALED}


def test_who_is_found_by_name_is_called_by_it() -> None:
    for job in prometheus()["scrape_configs"]:
        if "dns_sd_configs" in job:
            assert {rule["target_label"] for rule in job["relabel_configs"]} == {"job", "program"}
        else:
            assert job["static_configs"][0]["labels"]["program"] == job["job_name"]


@NEEDS_PROMTOOL
def test_prometheus_accepts_its_configuration(tmp_path: Path) -> None:
    told = (FOLDER / "prometheus.yml").read_text().replace("/etc/prometheus/alerts", str(ALERTS))
    (tmp_path / "prometheus.yml").write_text(told)
    command = ["promtool", "check", "config", str(tmp_path / "prometheus.yml")]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    assert str(len(list(ALERTS.glob("*.yml")))) + " rule files found" in said.stdout


@pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool is not on this machine: `make prometheus`")
def test_alertmanager_accepts_its_configuration(tmp_path: Path) -> None:
    told = (FOLDER / "alertmanager.yml").read_text()
    if _version("amtool") < URL_FILES_SINCE:
        told = told.replace("url_file: /etc/alertmanager/receiver/webhook-url", "url: http://127.0.0.1/")
    (tmp_path / "alertmanager.yml").write_text(told)
    command = ["amtool", "check-config", str(tmp_path / "alertmanager.yml")]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr


def test_only_alerts_that_there_are_silence_and_are_silenced() -> None:
    named = {
        name
        for rule in alertmanager()["inhibit_rules"]
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
        for name in re.findall(r"\w+", matcher.partition("=")[2])
    }
    assert named <= set(NAMES)


def test_a_stack_writes_a_configuration_of_its_own_ports_that_prometheus_accepts(tmp_path: Path) -> None:
    try:
        find_prometheus()
    except StartFailed as missing:
        pytest.skip(str(missing))
    server = PrometheusServer(tmp_path, (Target("inference", 8123), Target("rabbitmq", 15692)))
    command = server.prepare()
    assert f"--web.listen-address=127.0.0.1:{server.port}" in command.argv
    written = yaml.safe_load((tmp_path / "prometheus.yml").read_text())
    assert [job["job_name"] for job in written["scrape_configs"]] == ["inference", "rabbitmq"]
    assert {Path(file).name for file in written["rule_files"]} == {file.name for file in ALERTS.glob("*.yml")}
    server.start()
    try:
        assert {each.labels["program"] for each in server.query('up{program!=""}')} <= {"inference", "rabbitmq"}
    finally:
        server.stop()
    assert not server.ready()


def test_alerts_may_fire_sooner_for_who_does_not_want_to_wait(tmp_path: Path) -> None:
    written = sooner((ALERTS / "services.yml").read_text(), 0.01)
    shipped, cut = (yaml.safe_load(text) for text in ((ALERTS / "services.yml").read_text(), written))
    by_name = {rule["alert"]: rule for rule in cut["groups"][0]["rules"]}
    for rule in shipped["groups"][0]["rules"]:
        assert {**rule, "for": ""} == {**by_name[rule["alert"]], "for": ""}
    assert by_name["ServiceDown"]["for"] == "1200ms"
    assert by_name["DiskFull"].get("for") is None
    for file in ALERTS.glob("*.yml"):
        patient = [rule["for"] for rule in rules(file.stem) if "for" in rule]
        assert len(re.findall(r"^ +for: \d+ms$", sooner(file.read_text(), 0.01), re.MULTILINE)) == len(patient)


@NEEDS_PROMTOOL
def test_prometheus_accepts_the_alerts_that_fire_sooner(tmp_path: Path) -> None:
    try:
        PrometheusServer(tmp_path, patience=0.01).prepare()
    except StartFailed as missing:
        pytest.skip(str(missing))
    files = sorted(map(str, (tmp_path / "alerts").glob("*.yml")))
    assert len(files) == len(list(ALERTS.glob("*.yml")))
    said = subprocess.run(["promtool", "check", "rules", *files], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr


def _version(tool: str) -> tuple[int, ...]:
    said = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"version (\d+)\.(\d+)", said.stdout + said.stderr)
    assert found is not None
    return tuple(map(int, found.groups()))
