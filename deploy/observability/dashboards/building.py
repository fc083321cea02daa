"""Turns a dashboard into Grafana's JSON, by Grafana's own library, which knows how its fields are called."""

from __future__ import annotations

from string import ascii_uppercase

from grafana_foundation_sdk.builders import common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard as Board
from grafana_foundation_sdk.builders.dashboard import DashboardLink, QueryVariable, Row, ThresholdsConfig
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from .panels import Dashboard, Limits, Panel, Query, Shape, Variable

SOURCE = model.DataSourceRef(type_val="prometheus", uid="labelstream-prometheus")  # as it is provisioned
TAG = "labelstream"

Drawn = stat.Panel | timeseries.Panel


def in_json(dashboard: Dashboard) -> str:
    """Return what Grafana reads."""
    board = (
        Board(dashboard.title)
        .uid(f"labelstream-{dashboard.name}")
        .description(dashboard.description)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .time("now-6h", "now")
        .refresh("30s")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(_others())
    )
    for variable in dashboard.variables:
        board.with_variable(_variable(variable))
    number = 0
    for row in dashboard.rows:
        number += 1
        board.with_row(Row(row.title).id(number))
        for panel in row.panels:
            number += 1
            board.with_panel(_panel(panel).id(number))
    return JSONEncoder(sort_keys=True, indent=1).encode(board.build()) + "\n"


def _others() -> DashboardLink:
    return (
        DashboardLink("Labelstream")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)
        .keep_time(True)
    )


def _variable(variable: Variable) -> QueryVariable:
    everything = model.VariableOption(selected=True, text="All", value="$__all")
    return (
        QueryVariable(variable.name)
        .label(variable.label)
        .datasource(SOURCE)
        .query(variable.values)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .current(everything)
    )


def _panel(panel: Panel) -> Drawn:
    drawn = _number(panel) if panel.shape in {Shape.NUMBER, Shape.NAME} else _lines(panel)
    drawn.title(panel.title).description(panel.description).datasource(SOURCE).unit(panel.unit)
    drawn.height(panel.height).span(panel.width).thresholds(_thresholds(panel.limits))
    for letter, query in zip(ascii_uppercase, panel.queries, strict=False):
        drawn.with_target(_target(letter, query, instant=panel.shape is Shape.NAME))
    return drawn


def _lines(panel: Panel) -> timeseries.Panel:
    legend = (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(kinds.LegendDisplayMode.LIST)
        .placement(kinds.LegendPlacement.BOTTOM)
        .calcs([])
    )
    tooltip = common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING)
    drawn = timeseries.Panel().legend(legend).tooltip(tooltip).line_width(1)
    drawn.show_points(kinds.VisibilityMode.AUTO).span_nulls(False)
    if panel.unit == "percentunit":
        drawn.min(0)
    if panel.limits is not None:
        drawn.thresholds_style(common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED))
    if panel.shape is Shape.STACK:
        drawn.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL)).fill_opacity(30)
    return drawn


def _number(panel: Panel) -> stat.Panel:
    newest = common.ReduceDataOptions().calcs(["lastNotNull"])
    drawn = stat.Panel().reduce_options(newest).graph_mode(kinds.BigValueGraphMode.NONE)
    if panel.shape is Shape.NAME:
        drawn.text_mode(kinds.BigValueTextMode.NAME)
    return drawn


def _thresholds(limits: Limits | None) -> ThresholdsConfig:
    steps = [model.Threshold(value=None, color="green")]
    if limits is not None:
        steps += [model.Threshold(value=limits.look, color="orange"), model.Threshold(value=limits.bad, color="red")]
    return ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def _target(letter: str, query: Query, *, instant: bool) -> prometheus.Dataquery:
    target = prometheus.Dataquery().ref_id(letter).expr(query.expr).legend_format(query.legend)
    target.format(PromQueryFormat.TIME_SERIES)
    return target.instant() if instant else target.range()
