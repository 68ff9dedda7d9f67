"""Pieces that every dashboard is made of: variables, thresholds, panels with our defaults, links."""

from collections.abc import Sequence
from typing import Any

from grafana_foundation_sdk.builders import bargauge, common, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model

from boards.influxql import SOURCE, TYPE, Target, annotation

TIME = "$timeFilter"
EVERY = "GROUP BY time($__interval)"
GREEN, YELLOW, ORANGE, RED, BLUE = "green", "yellow", "orange", "red", "blue"
REGION = '"region" =~ /^${region:regex}$/'
EXCHANGE = f'{REGION} AND "exchange" =~ /^${{exchange:regex}}$/'
PLACES = "${datasource:queryparam}&${page:queryparam}"  # what a link to another dashboard takes along
NODE = f'{EXCHANGE} AND "access_node" =~ /^${{access_node:regex}}$/'


def board(title: str, uid: str, description: str, since: str = "now-6h") -> build.Dashboard:
    """A dashboard with the variables for the data source and the web page."""
    made = build.Dashboard(title).uid(uid).description(description).tags(["faultline"]).readonly()
    made = made.timezone("browser").time(since, "now").refresh("30s").tooltip(model.DashboardCursorSync.CROSSHAIR)
    made = made.with_variable(build.DatasourceVariable("datasource").label("Data source").type(TYPE))
    page = build.TextBoxVariable("page").label("Web page").default_value("http://localhost:8080")
    return made.with_variable(page)


def text_box(name: str, label: str) -> build.TextBoxVariable:
    return build.TextBoxVariable(name).label(label).default_value("")


def incidents_marked(made: build.Dashboard, where: str = "") -> build.Dashboard:
    """Begin and end of incidents as marks on every curve; `where`: only some."""
    condition = f" AND {where}" if where else ""
    for name, what, color in (("Outages", "opened", RED), ("Resolved", "resolved", GREEN)):
        asked = f'SELECT "scope_name", "incident_id" FROM "incident" WHERE "what" = \'{what}\'{condition} AND {TIME}'
        made = made.annotation(annotation(name, color, asked, "scope_name", "incident_id"))
    return made


def linked(panel: Any, title: str, url: str) -> Any:
    """A panel with a link to what is finer: another dashboard, or Faultline's page."""
    made = build.DashboardLink(title).type(model.DashboardLinkType.LINK).url(url).target_blank(True)
    return panel.links([made])


def choice(name: str, label: str, query: str) -> build.QueryVariable:
    """A drop-down of several values with All, filled by a query that may refer to earlier variables."""
    made = build.QueryVariable(name).label(label).datasource(SOURCE).query(query).multi(True).include_all(True)
    made = made.all_value(".*").refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    made = made.sort(model.VariableSort.NATURAL_ASC)
    return made.current(model.VariableOption(selected=True, text="All", value="$__all"))


def places() -> list[build.QueryVariable]:
    """Region, exchange and access node, each offering only what lies in the one before."""
    exchanges = f'SHOW TAG VALUES FROM "exchange_1m" WITH KEY = "exchange" WHERE {REGION}'
    nodes = f'SHOW TAG VALUES FROM "access_node_1m" WITH KEY = "access_node" WHERE {EXCHANGE}'
    return [
        choice("region", "Region", 'SHOW TAG VALUES FROM "region_1m" WITH KEY = "region"'),
        choice("exchange", "Exchange", exchanges),
        choice("access_node", "Access node", nodes),
    ]


def steps(*pairs: tuple[float | None, str]) -> build.ThresholdsConfig:
    """Thresholds from (value, color); the first value is None."""
    made = [model.Threshold(value=value, color=color) for value, color in pairs]
    return build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(made)


def number(
    title: str, query: str, help_text: str, unit: str = "short", good: Sequence[Any] = (None, BLUE)
) -> stat.Panel:
    """One figure, colored by thresholds; the newest value, over the last quarter of an hour."""
    pairs = [(good[i], good[i + 1]) for i in range(0, len(good), 2)]
    made = stat.Panel().title(title).description(help_text).datasource(SOURCE).height(4).span(4)
    made = made.with_target(Target(query)).unit(unit).thresholds(steps(*pairs)).no_value("-").interval("1m")
    made = made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    made = made.color_mode(common_model.BigValueColorMode.BACKGROUND)
    return made.graph_mode(common_model.BigValueGraphMode.AREA)


def lines(title: str, help_text: str, unit: str, *targets: Target, width: int = 12) -> timeseries.Panel:
    """Curves over time, with gaps where nothing is known."""
    made = timeseries.Panel().title(title).description(help_text).datasource(SOURCE).height(8).span(width)
    for target in targets:
        made = made.with_target(target)
    made = made.unit(unit).interval("1m").min(0).line_width(1).fill_opacity(10)
    made = made.show_points(common_model.VisibilityMode.AUTO).span_nulls(False)
    legend = common.VizLegendOptions().display_mode(common_model.LegendDisplayMode.LIST)
    legend = legend.placement(common_model.LegendPlacement.BOTTOM).show_legend(True)
    tip = common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.MULTI)
    return made.legend(legend).tooltip(tip.sort(common_model.SortOrder.DESCENDING))


def bars(title: str, help_text: str, unit: str, target: Target, width: int = 12) -> bargauge.Panel:
    made = bargauge.Panel().title(title).description(help_text).datasource(SOURCE).height(8).span(width)
    made = made.with_target(target).unit(unit).min(0).interval("1m")
    made = made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    made = made.orientation(common_model.VizOrientation.HORIZONTAL)
    return made.display_mode(common_model.BarGaugeDisplayMode.GRADIENT)


def rows(title: str, help_text: str, query: str, width: int = 12, most: int = 0, by: str = "") -> table.Panel:
    """A table. `by`: the column to sort by, greatest first; `most`: how many rows are shown then."""
    made = table.Panel().title(title).description(help_text).datasource(SOURCE).height(8).span(width)
    made = made.with_target(Target(query, "table")).interval("1m").no_value("-")
    made = made.align(common_model.FieldTextAlignment.AUTO).inspect(False)
    if by:
        order = {"fields": {}, "sort": [{"field": by, "desc": True}]}
        made = made.with_transformation(model.DataTransformerConfig(id_val="sortBy", options=order))
    if most:
        made = made.with_transformation(model.DataTransformerConfig(id_val="limit", options={"limitField": most}))
    return made


def hide_columns(panel: table.Panel, *names: str) -> table.Panel:
    options = {"excludeByName": dict.fromkeys(names, True), "indexByName": {}, "renameByName": {}}
    return panel.with_transformation(model.DataTransformerConfig(id_val="organize", options=options))


def link_column(panel: table.Panel, column: str, title: str, url: str) -> table.Panel:
    """Make a column's cells links. In `url`, `${__value.raw}` is the cell."""
    links = [{"title": title, "url": url, "targetBlank": True}]
    return panel.override_by_name(column, [model.DynamicConfigValue(id_val="links", value=links)])
