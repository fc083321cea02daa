"""A Prometheus that watches a stack, for those who ask for one: `labelstream up --observability`."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from labelstream_local import ports
from labelstream_local.asking import get
from labelstream_local.process import Child, Command, StartFailed, last_lines, stop_marked, wait_until
from labelstream_local.secret_files import private_directory, write_private

PROMETHEUS = "prometheus"
CHOSEN = "LABELSTREAM_PROMETHEUS"
_PLACES = ("/usr/bin/prometheus", "/usr/local/bin/prometheus", "/opt/homebrew/bin/prometheus")
_MISSING = (
    "Prometheus is not installed. On Debian and Ubuntu: `make prometheus`, or "
    "`sudo apt-get install -y --no-install-recommends prometheus`. "
    "On Fedora: `sudo dnf install golang-github-prometheus`. On macOS: `brew install prometheus`. "
    f"{CHOSEN} names a binary elsewhere. Or leave out --observability"
)
# The alerts of a checkout. An installed package has none beside it, and watches without them.
ALERTS = Path(__file__).parents[3] / "observability" / "alerts"
_EVERY_S = 5  # 15 in production; here people look on
_FOR = re.compile(r"^(?P<key> +for: )(?P<number>\d+)(?P<unit>[smhd])$", re.MULTILINE)
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True)
class Target:
    """Where a program tells its metrics."""

    program: str
    port: int


@dataclass(frozen=True)
class Sample:
    """One series of an answer."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Alert:
    """An alert that is pending or firing."""

    name: str
    state: str
    labels: Mapping[str, str]
    summary: str


@dataclass(frozen=True)
class Rule:
    """How an alert fares with Prometheus."""

    name: str
    evaluated: bool
    error: str


class QueryRefused(Exception):
    """Prometheus does not take a query: the message is its own."""


@dataclass
class PrometheusServer:
    """One Prometheus under `base_dir`; what it gathered outlives stop() and kill()."""

    base_dir: Path
    targets: tuple[Target, ...] = ()
    port: int = field(default_factory=lambda: ports.choose(1)[0])
    every_s: int = _EVERY_S
    alerts_from: Path = ALERTS
    patience: float = 1.0  # share of each alert's `for` after which it fires: less where nobody wants to wait
    _child: Child | None = None

    @property
    def url(self) -> str:
        """Where it answers, people and programs."""
        return f"http://{ports.HOST}:{self.port}"

    @property
    def log(self) -> Path:
        """What the server prints when it is started alone."""
        return self.base_dir / "prometheus.log"

    def prepare(self) -> Command:
        """Write the configuration; return the command that starts the server. Raises StartFailed if there is none."""
        program = find_prometheus()
        private_directory(self.base_dir)
        config = self.base_dir / "prometheus.yml"
        write_private(config, json.dumps(self._configuration(self._alerts()), indent=1))  # JSON is YAML
        argv = (
            str(program),
            f"--config.file={config}",
            f"--storage.tsdb.path={self.base_dir / 'data'}",
            "--storage.tsdb.retention.time=7d",
            "--storage.tsdb.retention.size=1GB",
            f"--web.listen-address={ports.HOST}:{self.port}",
            "--log.level=warn",
        )
        return Command(PROMETHEUS, argv, self.base_dir, {"HOME": str(self.base_dir), "GOMEMLIMIT": "256MiB"})

    def start(self) -> None:
        """Start the server and wait until it answers. Raises StartFailed."""
        self._child = child = Child(self.prepare(), str(self.base_dir), self.log)
        child.start()
        if not wait_until(self.ready, lambda: child.running, 60):
            self.stop()
            raise StartFailed(f"Prometheus did not come up. The end of {self.log}:\n{last_lines(self.log)}")

    def ready(self) -> bool:
        """Return whether the server answers."""
        try:
            return get(f"{self.url}/-/ready").status_code == HTTPStatus.OK
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        """Stop the server."""
        if self._child is not None:
            self._child.stop()
        stop_marked(str(self.base_dir))

    def kill(self) -> None:
        """Kill the server at once, as a crash would."""
        if self._child is not None:
            self._child.stop(signal.SIGKILL)
        stop_marked(str(self.base_dir))

    def query(self, expression: str) -> tuple[Sample, ...]:
        """Return what an expression gives now. Raises QueryRefused, or httpx.HTTPError when nobody answers."""
        result = self._asked("query", query=expression)["result"]
        return tuple(Sample(series["metric"], float(series["value"][1])) for series in result)

    def alerts(self) -> tuple[Alert, ...]:
        """Return the alerts that are pending or firing. Raises httpx.HTTPError when nobody answers."""
        return tuple(
            Alert(each["labels"]["alertname"], each["state"], each["labels"], each["annotations"].get("summary", ""))
            for each in self._asked("alerts")["alerts"]
        )

    def rules(self) -> tuple[Rule, ...]:
        """Return how each alert fares. Raises httpx.HTTPError when nobody answers."""
        groups = self._asked("rules")["groups"]
        rules = (rule for group in groups for rule in group["rules"])
        return tuple(Rule(rule["name"], rule["health"] != "unknown", rule.get("lastError", "")) for rule in rules)

    def _asked(self, question: str, **parameters: str) -> Any:
        answer = get(str(httpx.URL(f"{self.url}/api/v1/{question}", params=parameters)), timeout_s=30).json()
        if answer["status"] != "success":
            raise QueryRefused(answer["error"])
        return answer["data"]

    def _alerts(self) -> list[str]:
        """Return the files of the alerts: as they are shipped, or copies that fire sooner."""
        shipped = sorted(self.alerts_from.glob("*.yml"))
        if self.patience == 1.0:
            return [str(path) for path in shipped]
        private_directory(self.base_dir / "alerts")
        for path in shipped:
            write_private(self.base_dir / "alerts" / path.name, sooner(path.read_text(), self.patience))
        return [str(self.base_dir / "alerts" / path.name) for path in shipped]

    def _configuration(self, alerts: list[str]) -> dict[str, object]:
        every = f"{self.every_s}s"
        return {
            "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
            "rule_files": alerts,
            "scrape_configs": [_scraping(target) for target in self.targets],
        }


def targets_of(services: Mapping[str, int], rabbitmq: int, seaweedfs: int) -> tuple[Target, ...]:
    """Return what a stack has to watch: the ports of its services, and those of the servers' metrics."""
    servers = (Target("rabbitmq", rabbitmq), Target("seaweedfs", seaweedfs))
    return (*(Target(name, port) for name, port in services.items()), *servers)


def sooner(alerts: str, patience: float) -> str:
    """Return the text of alerts whose `for` is a share of what it was; their expressions stay."""

    def _cut(found: re.Match[str]) -> str:
        milliseconds = int(found["number"]) * _UNITS_S[found["unit"]] * 1000 * patience
        return f"{found['key']}{round(milliseconds)}ms"

    return _FOR.sub(_cut, alerts)


def find_prometheus() -> Path:
    """Return the server's program; LABELSTREAM_PROMETHEUS names another one. Raises StartFailed."""
    places = (os.environ[CHOSEN],) if CHOSEN in os.environ else (shutil.which(PROMETHEUS), *_PLACES)
    for place in places:
        if place is not None and Path(place).exists():
            return Path(place)
    raise StartFailed(_MISSING)


def _scraping(target: Target) -> dict[str, object]:
    address = f"{ports.HOST}:{target.port}"
    return {
        "job_name": target.program,
        "static_configs": [{"targets": [address], "labels": {"program": target.program}}],
    }
