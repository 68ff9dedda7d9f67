"""What grafana-foundation-sdk lacks: InfluxQL queries and InfluxQL annotations, to and from JSON.

Queries are written raw. Variables stand in them as `${name:regex}` inside `/^...$/`: Grafana then escapes values (also
the `/` of a path) and joins several with `|` whatever the data source's own rules are.
"""

from typing import Any, Self

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog import builder as cogbuilder
from grafana_foundation_sdk.cog import runtime as cogruntime
from grafana_foundation_sdk.cog import variants as cogvariants
from grafana_foundation_sdk.models import dashboard as model

TYPE = "influxdb"
SOURCE = model.DataSourceRef(type_val=TYPE, uid="${datasource}")


class InfluxQL(cogvariants.Dataquery):
    """One raw InfluxQL query. `form`: "time_series" or "table". `alias`: the series' names, as "$tag_region"."""

    def __init__(self, query: str, form: str = "time_series", alias: str = "", ref_id: str = "A") -> None:
        self.query = query
        self.form = form
        self.alias = alias
        self.ref_id = ref_id

    def to_json(self) -> dict[str, object]:
        data: dict[str, object] = {
            "datasource": {"type": TYPE, "uid": "${datasource}"},
            "query": self.query,
            "rawQuery": True,
            "refId": self.ref_id,
            "resultFormat": self.form,
        }
        if self.alias:
            data["alias"] = self.alias
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(data["query"], data["resultFormat"], data.get("alias", ""), data["refId"])


class Target(cogbuilder.Builder[cogvariants.Dataquery]):
    def __init__(self, query: str, form: str = "time_series", alias: str = "", ref_id: str = "A") -> None:
        self._query = InfluxQL(query, form, alias, ref_id)

    def build(self) -> cogvariants.Dataquery:
        return self._query


class AnnotationTarget(model.AnnotationTarget):
    """An annotation's InfluxQL query; `text` and `tags` name the columns that are shown."""

    def __init__(self, query: str, text: str, tags: str) -> None:
        super().__init__()
        self.query = query
        self.text = text
        self.tag_column = tags

    def to_json(self) -> dict[str, object]:
        return {
            "fromAnnotations": True,
            "query": self.query,
            "rawQuery": True,
            "refId": "Anno",
            "tagsColumn": self.tag_column,
            "textColumn": self.text,
            "textEditor": True,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(data["query"], data["textColumn"], data["tagsColumn"])


class _Ready(cogbuilder.Builder[model.AnnotationTarget]):
    def __init__(self, target: AnnotationTarget) -> None:
        self._target = target

    def build(self) -> model.AnnotationTarget:
        return self._target


def annotation(name: str, color: str, query: str, text: str, tags: str) -> build.AnnotationQuery:
    made = build.AnnotationQuery().name(name).datasource(SOURCE).enable(True).icon_color(color)
    return made.target(_Ready(AnnotationTarget(query, text, tags)))


def register() -> None:
    """Let the SDK read our queries back: it has no InfluxDB, and takes every annotation for one of Grafana's own."""
    cogruntime.register_dataquery_variant(
        cogruntime.DataqueryConfig(identifier=TYPE, from_json_hook=InfluxQL.from_json)
    )
    model.AnnotationTarget = AnnotationTarget  # type: ignore[misc, assignment]
