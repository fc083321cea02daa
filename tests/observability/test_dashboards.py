"""The dashboards: their files are what the code makes, and everything in them is in its place and explained."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from deploy.observability.dashboards.__main__ import DASHBOARDS, FOLDER
from deploy.observability.dashboards.building import SOURCE, in_json
from deploy.observability.dashboards.panels import Dashboard

from .asked import FOREIGN, ROOT, metrics_of, ours
from .test_alerts import ALL

PROVISIONING = ROOT / "deploy/observability/grafana/provisioning"
COLUMNS = 24
BY_NAME = pytest.mark.parametrize("board", DASHBOARDS, ids=lambda board: board.name)


def written(board: Dashboard) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{board.name}.json").read_text())
    return found


def panels(board: Dashboard) -> list[dict[str, Any]]:
    """What shows something: not the titles of rows."""
    return [panel for panel in written(board)["panels"] if panel["type"] != "row"]


def expressions(board: Dashboard) -> Iterator[tuple[str, str]]:
    for panel in panels(board):
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def test_there_are_no_other_dashboards() -> None:
    assert {file.name for file in FOLDER.glob("*")} == {f"{board.name}.json" for board in DASHBOARDS}


@BY_NAME
def test_the_file_is_what_the_code_makes(board: Dashboard) -> None:
    assert (FOLDER / f"{board.name}.json").read_text() == in_json(board), "run `make dashboards`"


@BY_NAME
def test_a_panel_says_what_it_shows_in_which_unit_and_names_its_lines(board: Dashboard) -> None:
    for panel in panels(board):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"], panel["title"]
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]
        assert [target["refId"] for target in panel["targets"]] == list("ABCDEF"[: len(panel["targets"])])


@BY_NAME
def test_what_a_line_is_named_after_is_a_label_that_is_left_of_it(board: Dashboard) -> None:
    for panel in panels(board):
        for target in panel["targets"]:
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            if re.search(r"\b(sum|max|min|avg|count)\b", target["expr"]):
                left = {label for by in re.findall(r"by \(([^)]*)\)", target["expr"]) for label in by.split(", ")}
                assert named <= left, panel["title"]


@BY_NAME
def test_nothing_overlaps_and_nothing_sticks_out(board: Dashboard) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in written(board)["panels"]:
        place = panel["gridPos"]
        x, y = place.get("x", 0), place.get("y", 0)
        assert x + place["w"] <= COLUMNS, panel["title"]
        for cell in ((c, r) for c in range(x, x + place["w"]) for r in range(y, y + place["h"])):
            assert cell not in taken, f"{panel['title']} lies on {taken[cell]}"
            taken[cell] = panel["title"]


@BY_NAME
def test_every_line_of_a_row_is_full(board: Dashboard) -> None:
    ends: dict[int, int] = {}
    for panel in written(board)["panels"]:
        place = panel["gridPos"]
        ends[place.get("y", 0)] = max(ends.get(place.get("y", 0), 0), place.get("x", 0) + place["w"])
    assert set(ends.values()) == {COLUMNS}


@BY_NAME
def test_ids_of_panels_are_its_own(board: Dashboard) -> None:
    ids = [panel["id"] for panel in written(board)["panels"]]
    assert len(set(ids)) == len(ids)


@BY_NAME
def test_everything_comes_from_the_data_source_that_is_provisioned(board: Dashboard) -> None:
    (source,) = yaml.safe_load((PROVISIONING / "datasources/prometheus.yml").read_text())["datasources"]
    assert (SOURCE.uid, SOURCE.type_val) == (source["uid"], source["type"])
    named = {str(panel["datasource"]["uid"]) for panel in panels(board)}
    named |= {variable["datasource"]["uid"] for variable in written(board).get("templating", {}).get("list", [])}
    assert named == {source["uid"]}


@BY_NAME
def test_a_variable_that_is_asked_for_is_there_and_each_is_asked_for(board: Dashboard) -> None:
    there = {variable["name"] for variable in written(board).get("templating", {}).get("list", [])}
    asked = {name for _, expr in expressions(board) for name in re.findall(r"\$(\w+)", expr)}
    assert asked - {"__rate_interval", "__range", "__interval"} == there


def test_every_name_that_a_panel_or_an_alert_asks_for_is_told_by_somebody() -> None:
    asked = {
        (place, name)
        for board in DASHBOARDS
        for title, expr in expressions(board)
        for place, name in ((f"{board.name}: {title}", each) for each in metrics_of(expr))
    }
    asked |= {(rule["alert"], name) for rule in ALL for name in metrics_of(rule["expr"])}
    told = ours() | FOREIGN
    assert {(place, name) for place, name in asked if name not in told} == set()
    assert {name for _, name in asked} >= FOREIGN


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('sum by (le, project) (rate(a_bucket{b="c or d"}[$__rate_interval]))', {"a_bucket"}),
        ("a > 0 unless on (x, y) changes(b[10m]) > 0", {"a", "b"}),
        ("a - a offset 1h > 3 * b or vector(0)", {"a", "b"}),
        ('a{x="1"} / ignoring (of) a{x="2"} < 1 / 3', {"a"}),
        ('count(up{p=~"$program"} == 0) or vector(0)', {"up"}),
    ],
)
def test_the_names_in_an_expression_are_found(expression: str, names: set[str]) -> None:
    assert metrics_of(expression) == names
