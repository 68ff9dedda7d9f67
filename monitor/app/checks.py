"""What `faultline check` tries: every file and every server the configuration names, each on its own.

Nothing is changed anywhere: no message is sent, no store is made.
"""

import asyncio
import os
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, NamedTuple

from monitor.app import secrets
from monitor.app.settings import Settings
from monitor.clock import SystemClock
from monitor.inventory import Bindings, Observability
from monitor.metrics import Metrics
from monitor.secret import SecretProblem


class Checked(NamedTuple):
    """`text`: what was found; when not `ok`, also how to mend it."""

    what: str
    ok: bool
    text: str


async def run_checks(settings: Settings) -> list[Checked]:
    """In the order of the configuration file; those of a part that is not enabled are left out."""
    results = [Checked("configuration", True, "valid"), *check_secrets(settings)]
    results += [check_inventory(settings), check_folder(settings)]
    waiting: list[Awaitable[list[Checked]]] = []
    if settings.store.engine == "influxdb":
        waiting.append(check_influxdb(settings))
    if settings.dns.enabled:
        waiting.append(check_resolvers(settings))
    if settings.cpe.enabled:
        waiting.append(check_broker(settings))
    waiting.append(check_receivers(settings))
    for part in await asyncio.gather(*waiting):
        results += part
    if settings.icmp.enabled:  # last: it may enter another network namespace
        results += check_icmp(settings)
    return results


def check_secrets(settings: Settings) -> list[Checked]:
    """A line for each secret or certificate that cannot be read; none when all can."""
    return [Checked("secrets", False, text) for text in secrets.problems(settings)]


def check_inventory(settings: Settings) -> Checked:
    """Raises InputProblems."""
    from monitor.app import inventory_files

    inventory = inventory_files.load(settings.inventory, 1)
    reasons = Bindings(inventory).reason
    seen = int((reasons == Observability.OBSERVABLE).sum())
    words = [f"{len(inventory)} lines, {len(inventory.elements)} elements, {len(inventory.groups)} groups"]
    words.append(f"{seen} lines can be pinged")
    counts = {r.name.lower(): int((reasons == r).sum()) for r in Observability if r is not Observability.OBSERVABLE}
    words += [f"{count} not: {reason}" for reason, count in counts.items() if count]
    return Checked("inventory", True, ", ".join(words))


def check_folder(settings: Settings) -> Checked:
    folder = Path(settings.store.folder)
    there = folder
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK | os.X_OK):
        return Checked("store", False, f"{there} cannot be written by this user: allow it, or set store.folder")
    return Checked("store", True, f"{folder} can be written")


async def check_influxdb(settings: Settings) -> list[Checked]:
    import httpx

    influx = settings.store.influxdb
    try:
        async with httpx.AsyncClient(verify=influx.verify_tls, timeout=influx.timeout_s, trust_env=False) as client:
            answer = await client.get(f"{influx.url.rstrip('/')}/ping")
    except httpx.HTTPError as error:
        return [Checked("influxdb", False, f"{influx.url} does not answer ({error}): is it running, is the url right?")]
    if answer.status_code >= 400:
        return [Checked("influxdb", False, f"{influx.url}/ping answers {answer.status_code}: is that InfluxDB?")]
    version = answer.headers.get("X-Influxdb-Version", "of unknown version")
    return [Checked("influxdb", True, f"{influx.url} answers, InfluxDB {version}")]


async def check_resolvers(settings: Settings) -> list[Checked]:
    from collectors.dns.ask import Asker
    from collectors.dns.question import Outcome, Question

    questions = [Question(name) for name in settings.dns.names]
    results = []
    for resolver in settings.dns.resolvers:
        what = f"resolver {resolver.name}"
        async with Asker(resolver.address, resolver.port) as asker:
            answers = await asker.ask_all(questions, settings.dns.timeout_s)
        wrong = [
            f"{question.settings.name} {question.settings.type}: {answer.outcome} {answer.detail}".rstrip()
            for question, answer in zip(questions, answers, strict=True)
            if answer.outcome is not Outcome.OK
        ]
        where = f"{resolver.address} port {resolver.port}"
        results.append(Checked(what, not wrong, f"{where}: " + ("; ".join(wrong) or f"{len(answers)} names answered")))
    return results


async def check_broker(settings: Settings) -> list[Checked]:
    cpe = settings.cpe
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(cpe.host, cpe.port), cpe.timeout_s)
    except (OSError, TimeoutError) as error:
        why = str(error) or "no answer"
        return [Checked("broker", False, f"{cpe.host} port {cpe.port}: {why}: is it running, are host and port right?")]
    writer.close()
    return [Checked("broker", True, f"{cpe.host} port {cpe.port} takes connections")]


async def check_receivers(settings: Settings) -> list[Checked]:
    from alerts.heartbeat import Heartbeat
    from alerts.receivers import build_receivers
    from alerts.receivers.base import Undelivered

    clock = SystemClock()
    try:
        receivers: list[Any] = [*build_receivers(settings.alerts, clock)]
        if settings.alerts.heartbeat.enabled:
            receivers.append(Heartbeat(settings.alerts.heartbeat, lambda: False, Metrics(), clock))
    except (ValueError, SecretProblem) as error:
        return [Checked("alerts", False, str(error))]
    results = []
    for receiver in receivers:
        try:
            await receiver.check()
        except Undelivered as error:
            results.append(Checked(receiver.name, False, str(error)))
        else:
            results.append(Checked(receiver.name, True, _would_take(receiver.name)))
        finally:
            if receiver.name != "heartbeat":
                await receiver.close()
    return results


def _would_take(name: str) -> str:
    """What a check can find out without telling anybody."""
    if name.startswith("apprise:"):
        return "its address is one that Apprise knows (only `faultline alerts test` tries more)"
    if name == "heartbeat" or name.startswith("webhook:"):
        return "takes connections"
    return "would take messages"


def check_icmp(settings: Settings) -> list[Checked]:
    from collectors.icmp.opening import open_lanes

    icmp = settings.icmp
    results = []
    try:
        _, words = open_lanes(icmp.mode, icmp.netns, icmp.wire, int(icmp.timeout_s * 1e9))
        results.append(Checked("icmp", True, words))
    except OSError as error:
        results.append(Checked("icmp", False, error.strerror or str(error)))
    if not icmp.references:
        text = "none: a blind prober cannot be told from an outage; name some under [[icmp.references]]"
        results.append(Checked("references", False, text))
    return results
