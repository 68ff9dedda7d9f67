"""`faultline alerts`: try the receivers, explain what was told to whom, and ask for quiet."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from monitor.app.commands.common import config_option, json_option

if TYPE_CHECKING:
    from monitor.app.settings import Settings
    from monitor.store.state import StateStore


@click.group()
def alerts() -> None:
    """Who is told what: test, explain, silence."""


@alerts.command()
@config_option
@click.argument("receivers", nargs=-1, metavar="[RECEIVER]...")
def test(config: Path, receivers: tuple[str, ...]) -> int:
    """Send a test message to every enabled receiver, or to those named (as slack, email:north, webhook:sms)."""
    import asyncio
    from zoneinfo import ZoneInfo

    from alerts.dryrun import try_receivers
    from alerts.settings import receiver_names
    from monitor.app.settings import load_settings
    from monitor.clock import SystemClock

    settings = load_settings(config)
    known = receiver_names(settings.alerts)
    if not known:
        raise click.UsageError(f"{config}: alerts: no receiver is enabled (alerts.slack.enabled, alerts.email.enabled)")
    for name in receivers:
        if name not in known:
            raise click.UsageError(f"there is no receiver {name!r}: enabled are {', '.join(known)}")
    results = asyncio.run(try_receivers(settings.alerts, SystemClock(), ZoneInfo(settings.daemon.zone), receivers))
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
    from alerts.surroundings import Outlook
    from monitor.clock import SystemClock
    from monitor.store.outbox import Outbox
    from monitor.store.silences import Silences

    settings, state = _store(config)
    outbox = Outbox(state)
    incident = state.incident(incident_id) or outbox.newest(incident_id)
    if incident is None:
        raise click.UsageError(f"there is no incident {incident_id!r}; see: faultline incidents")
    now_ns = SystemClock().now_ns()
    rows = explain(
        incident,
        settings.alerts,
        outbox.states(incident_id),
        now_ns,
        ZoneInfo(settings.daemon.zone),
        [entry.what for entry in state.incident_history(incident_id)] or ("opened",),
        Outlook(state, Silences(state), dict).now(now_ns),
    )
    if not rows and not as_json:
        click.echo("no receiver is enabled: nobody is told of anything")
    for row in rows:
        if as_json:
            click.echo(msgspec.json.encode(row))
        else:
            why = f"{row.reason}: {row.detail}" if row.reason and row.detail else row.reason or row.detail
            click.echo(f"{row.receiver:14} {row.stage:10} {row.outcome:14} {why}")


@alerts.group()
def silence() -> None:
    """Who need not be told of what, until when: add, list, end."""


@silence.command()
@config_option
@json_option
@click.argument("scope")
@click.option("--for", "lasting", default="", metavar="TIME", help="How long: 90m, 2h, 3d.")
@click.option("--until", default="", metavar="TIME", help="Or until when, RFC 3339: 2026-11-24T06:00:00+01:00.")
@click.option("--from", "start", default="", metavar="TIME", help="From when on, RFC 3339; left out: now.")
@click.option("--by", default="", help="Who asks for it; left out: who is logged in here.")
@click.option("--reason", default="", help="Why; it is shown wherever the silence is.")
def add(config: Path, as_json: bool, scope: str, lasting: str, until: str, start: str, by: str, reason: str) -> None:
    """Tell nobody of what lies in SCOPE: a path (north/ex-12), group:KIND:NAME, incident:ID, line:ID, source:NAME, all.

    It hides nothing on the page, and what still lasts when it ends is told then.
    """
    from monitor.clock import NS, SystemClock, parse_time
    from monitor.store.silences import Silences

    if bool(lasting) == bool(until):
        raise click.UsageError("say when it ends: --for 2h or --until TIME")
    kind, name = _scope(scope)
    now_ns = SystemClock().now_ns()
    try:
        starts_ns = parse_time(start) if start else now_ns
        ends_ns = parse_time(until) if until else starts_ns + _seconds(lasting) * NS
    except (ValueError, OverflowError) as error:
        raise click.UsageError(str(error)) from None
    _, state = _store(config)
    try:
        made = Silences(state).add(kind, name, starts_ns, ends_ns, reason, by or _me())
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    state.audit(made.by, "silence", f"{kind}:{name}", f"from the command line, {made.silence_id}")
    _show(made, now_ns, as_json)


@silence.command(name="list")
@config_option
@json_option
@click.option("--all", "past", is_flag=True, help="Those that are over, too.")
def list_command(config: Path, as_json: bool, past: bool) -> None:
    """Silences that last or are to come, soonest end first."""
    from monitor.clock import SystemClock
    from monitor.store.silences import Silences

    _, state = _store(config)
    now_ns = SystemClock().now_ns()
    found = Silences(state).listed(None if past else now_ns)
    if not found and not as_json:
        click.echo("no silences")
    for one in found:
        _show(one, now_ns, as_json)


@silence.command()
@config_option
@click.argument("silence_id", metavar="ID")
@click.option("--by", default="", help="Who ends it; left out: who is logged in here.")
def end(config: Path, silence_id: str, by: str) -> None:
    """End or cancel a silence now."""
    from monitor.store.silences import Silences

    _, state = _store(config)
    if not Silences(state).end(silence_id, by or _me()):
        raise click.UsageError(f"there is no silence {silence_id!r} that lasts; see: faultline alerts silence list")
    state.audit(by or _me(), "silence_end", silence_id, "from the command line")
    click.echo(f"{silence_id} ended")


def _store(config: Path) -> "tuple[Settings, StateStore]":
    from monitor.app.settings import load_settings
    from monitor.store.state import StateStore

    settings = load_settings(config)
    return settings, StateStore.open(settings.store)


def _scope(text: str) -> tuple[str, str]:
    from monitor.store.silences import SCOPES

    kind, colon, name = text.partition(":")
    if text == "all":
        return "all", ""
    if colon and kind in SCOPES and name:
        return kind, name
    return "element", text.strip("/")


def _seconds(text: str) -> int:
    """Raises ValueError."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = text[:-1], text[-1:]
    if unit not in units or not number.isdigit() or not 0 < int(number) < 1_000_000:
        raise ValueError(f"--for is {text!r}: give a number and m, h or d, as 90m")
    return int(number) * units[unit]


def _me() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "command line"


def _show(silence: "msgspec.Struct", now_ns: int, as_json: bool) -> None:
    from monitor.clock import rfc3339
    from monitor.store.silences import Silence

    assert isinstance(silence, Silence)
    if as_json:
        click.echo(msgspec.json.encode(silence))
        return
    state = "active" if silence.active_at(now_ns) else "to come" if silence.starts_ns > now_ns else "over"
    scope = f"{silence.scope_kind}:{silence.scope_name}".rstrip(":")
    text = (
        f"{silence.silence_id}  {state:8} until {rfc3339(silence.until_ns)}  {scope}  by {silence.by}  {silence.reason}"
    )
    click.echo("".join(c if c.isprintable() else "?" for c in text))
