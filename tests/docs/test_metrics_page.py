"""The page of all metrics says what the programs count, and what is asked of them stands on it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from deploy.observability.metrics_page import page

ROOT = Path(__file__).parents[2]
ASKING = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "deploy/observability").rglob("*")
    if path.suffix in (".yml", ".json")
)


def names() -> set[str]:
    return set(re.findall(r"^\| `(labelstream_\w+)` \|", page(), re.MULTILINE))


def test_the_page_of_metrics_is_the_one_in_the_code():
    assert (ROOT / "docs/metrics.md").read_text() == page(), "run `make docs`"


def test_every_metric_stands_on_it_once_with_its_meaning():
    rows = re.findall(r"^\| `(labelstream_\w+)` \| (\w+) \| .* \| (.*) \|$", page(), re.MULTILINE)
    assert len(rows) == len(names()) > 60
    assert [name for name, kind, _ in rows if (kind == "counter") != name.endswith("_total")] == []
    assert [name for name, _, meaning in rows if len(meaning) < 10] == []


@pytest.mark.parametrize("path", ASKING)
def test_what_an_alert_or_a_dashboard_asks_for_is_counted_by_some_program(path: str):
    asked = set(re.findall(r"\blabelstream_[a-z0-9_]+", (ROOT / path).read_text()))
    known = names()
    parts = {f"{name}_{part}" for name in known for part in ("bucket", "sum", "count")}
    assert asked - known - parts == set()
