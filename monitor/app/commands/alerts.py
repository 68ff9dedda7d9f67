"""`faultline alerts`: try the receivers, and explain what was told to whom."""

from pathlib import Path

import click
import msgspec

from monitor.app.commands.common import config_option, json_option


@click.group()
def alerts() -> None:
    """Who is told what: test, explain."""


@alerts.command()
@config_option
def test(config: Path) -> int:
    """Send a test message to every enabled receiver."""
    import asyncio
    from zoneinfo import ZoneInfo

    from alerts.dryrun import test_receivers
    from monitor.app.settings import load_settings
    from monitor.clock import SystemClock

    settings = load_settings(config)
    results = asyncio.run(test_receivers(settings.alerts, SystemClock(), ZoneInfo(settings.daemon.zone)))
    if not results:
        raise click.UsageError(f"{config}: alerts: no receiver is enabled (alerts.slack.enabled, alerts.email.enabled)")
    for result in results:
        click.echo(f"{result.receiver}: {'sent' if result.ok else 'failed'}: {result.text}")
    return 0 if all(result.ok for result in results) else 1


@alerts.command(name="explain")
@config_option
@json_option
@click.argument("incident_id", metavar="INCIDENT")
def explain_command(config: Path, as_json: bool, incident_id: str) -> None:
    """Which stage did what with an incident, at each receiver, and why."""
    from zoneinfo import ZoneInfo

    from alerts.dryrun import explain
    from monitor.app.settings import load_settings
    from monitor.clock import SystemClock
    from monitor.store.outbox import Outbox
    from monitor.store.state import StateStore

    settings = load_settings(config)
    state = StateStore.open(settings.store)
    incident = state.incident(incident_id)
    if incident is None:
        raise click.UsageError(f"there is no incident {incident_id!r}; see: faultline incidents")
    history = [entry.what for entry in state.incident_history(incident_id)]
    rows = explain(
        incident,
        settings.alerts,
        Outbox(state).states(incident_id),
        SystemClock().now_ns(),
        ZoneInfo(settings.daemon.zone),
        history or ("opened",),
    )
    for row in rows:
        if as_json:
            click.echo(msgspec.json.encode(row))
        else:
            why = f"{row.reason}: {row.detail}" if row.reason and row.detail else row.reason or row.detail
            click.echo(f"{row.receiver:8} {row.stage:10} {row.outcome:14} {why}")
