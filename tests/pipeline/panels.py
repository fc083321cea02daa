"""Asking what Grafana would ask: every panel of every dashboard, its variables put in."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from labelstream_local.prometheus import PrometheusServer, QueryRefused

FOLDER = Path(__file__).parents[2] / "deploy/observability/grafana/dashboards"
# What Grafana makes of the time that is shown: the whole of a test's.
_TIMES = {"__rate_interval": "1h", "__interval": "15s", "__range": "1h"}
_VALUES = re.compile(r"label_values\((?P<series>.+), (?P<label>\w+)\)")


@dataclass(frozen=True)
class Question:
    """One query of a panel."""

    dashboard: str
    panel: str
    expr: str
    variables: Mapping[str, str]  # name → the question for its values

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.panel}: {self.expr}"

    def answered(self, prometheus: PrometheusServer) -> str | None:
        """Return what is wrong with the answer; None when it has figures."""
        expr = self._filled(prometheus)
        if "$" in expr:
            return f"a variable is left in {expr}"
        try:
            samples = prometheus.query(expr)
        except QueryRefused as refusal:
            return f"refused: {refusal}"
        if not samples:
            return "no series"
        return "no figures, only NaN" if all(math.isnan(sample.value) for sample in samples) else None

    def _filled(self, prometheus: PrometheusServer) -> str:
        expr = self.expr
        for name, value in _TIMES.items():
            expr = expr.replace(f"${name}", value)
        for name, asked in self.variables.items():
            if f"${name}" in expr:
                expr = expr.replace(f"${name}", _everything(prometheus, asked))
        return expr


def questions() -> tuple[Question, ...]:
    """Return the queries of every panel."""
    return tuple(each for file in sorted(FOLDER.glob("*.json")) for each in _of(file))


def _of(file: Path) -> Iterator[Question]:
    board = json.loads(file.read_text())
    variables = {variable["name"]: variable["query"] for variable in board.get("templating", {}).get("list", [])}
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield Question(file.stem, panel["title"], target["expr"], variables)


def _everything(prometheus: PrometheusServer, asked: str) -> str:
    """Return what Grafana puts in for `All`: each value of a variable, as alternatives of a pattern."""
    found = _VALUES.fullmatch(asked)
    assert found is not None, asked
    label = found["label"]
    values = {sample.labels[label] for sample in prometheus.query(f"group by ({label}) ({found['series']})")}
    return f"({'|'.join(sorted(map(_escaped, values)))})"


def _escaped(value: str) -> str:
    """Return a value for a pattern within a string of PromQL, as Grafana escapes it."""
    return re.sub(r"([\\^$.|?*+()\[\]{}])", r"\\\\\1", value)
