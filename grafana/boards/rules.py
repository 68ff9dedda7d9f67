"""Grafana's alert rules: they watch the watcher. Outages are Faultline's own business to tell; a rule for them here
would wake people twice. These fire when Faultline can no longer tell.

A rule is a query (A), its newest value (B) and a threshold (C), in the form that provisioning files have.
"""

from typing import Any

UID = "faultline"  # of the provisioned data source: rules know no variables
TIME = "$timeFilter"


def _rule(
    uid: str,
    title: str,
    text: str,
    query: str,
    above: float | None = None,
    below: float | None = None,
    minutes: int = 5,
    silence: str = "OK",
) -> dict[str, Any]:
    """`silence`: what no data means, "Alerting" or "OK"."""
    span = {"from": max(minutes * 60, 900), "to": 0}
    limit = {"type": "gt", "params": [above]} if above is not None else {"type": "lt", "params": [below]}
    expression = {"type": "__expr__", "uid": "__expr__"}
    return {
        "uid": uid,
        "title": title,
        "condition": "C",
        "for": f"{minutes}m",
        "noDataState": silence,
        "execErrState": "Alerting",
        "annotations": {"summary": text},
        "labels": {"source": "faultline"},
        "data": [
            {
                "refId": "A",
                "relativeTimeRange": span,
                "datasourceUid": UID,
                "model": {
                    "refId": "A",
                    "datasource": {"type": "influxdb", "uid": UID},
                    "query": query,
                    "rawQuery": True,
                    "resultFormat": "time_series",
                    "intervalMs": 60_000,
                    "maxDataPoints": 1000,
                },
            },
            {
                "refId": "B",
                "relativeTimeRange": span,
                "datasourceUid": "__expr__",
                "model": {
                    "refId": "B",
                    "datasource": expression,
                    "type": "reduce",
                    "reducer": "last",
                    "expression": "A",
                    "settings": {"mode": "dropNN"},
                },
            },
            {
                "refId": "C",
                "relativeTimeRange": span,
                "datasourceUid": "__expr__",
                "model": {
                    "refId": "C",
                    "datasource": expression,
                    "type": "threshold",
                    "expression": "B",
                    "conditions": [{"evaluator": limit}],
                },
            },
        ],
    }


def _grown(field: str) -> str:
    return f'SELECT max("{field}") - min("{field}") FROM "daemon" WHERE {TIME} GROUP BY "host"'


def build() -> dict[str, Any]:
    rules = [
        _rule(
            "faultline-silent",
            "Faultline is silent",
            "No figures from the daemon: it does not run, or cannot reach the database. Nothing is watched now.",
            f'SELECT count("step_s") FROM "daemon" WHERE {TIME} GROUP BY "host"',
            below=1,
            silence="Alerting",
        ),
        _rule(
            "faultline-prober-silent",
            "A prober is silent",
            "No finished round: its lines turn unknown.",
            f'SELECT count("targets") FROM "prober" WHERE {TIME} GROUP BY "source"',
            below=1,
            silence="Alerting",
        ),
        _rule(
            "faultline-rounds-overrun",
            "Rounds do not fit in their interval",
            "The prober needs longer than a round may take: fewer targets, a longer interval or a second prober.",
            f'SELECT sum("overran") FROM "prober" WHERE {TIME} GROUP BY "source"',
            above=3,
        ),
        _rule(
            "faultline-step-slow",
            "The engine is slow",
            "A step takes seconds: outages are found late.",
            f'SELECT max("step_s") FROM "daemon" WHERE {TIME} GROUP BY "host"',
            above=5,
            minutes=10,
        ),
        _rule(
            "faultline-samples-wait",
            "Samples wait for the database",
            "The oldest sample has waited for more than ten minutes: they are safe in the spool until it is full.",
            f'SELECT max("spool_age_s") FROM "daemon" WHERE {TIME} GROUP BY "host"',
            above=600,
        ),
        _rule(
            "faultline-samples-lost",
            "Samples are given up",
            "The disk or the spool is full: the oldest samples go.",
            _grown("samples_dropped"),
            above=0,
            minutes=1,
        ),
        _rule(
            "faultline-points-refused",
            "The database refuses points",
            "They lie in spool/quarantine with the reason beside them.",
            _grown("quarantined"),
            above=0,
            minutes=1,
        ),
        _rule(
            "faultline-alerts-given-up",
            "An alert could not be sent",
            "A receiver refused it for good: see the daemon's log, and `faultline alerts test`.",
            _grown("alerts_dead"),
            above=0,
            minutes=1,
        ),
    ]
    group = {"orgId": 1, "name": "Faultline itself", "folder": "Faultline", "interval": "1m", "rules": rules}
    return {"apiVersion": 1, "groups": [group]}
