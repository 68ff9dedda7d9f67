"""Try and explain: does every receiver work, and why was an incident told or not.

`try_receivers` sends a message that says nothing has failed. `explain` runs the daemon's own stages over the newest
revision without telling anybody, and adds what the outbox knows of earlier ones.
"""

from collections.abc import Sequence
from datetime import tzinfo

import msgspec

from alerts.chain import build_stages, build_writer
from alerts.receivers import enabled_receivers
from alerts.receivers.base import Undelivered
from alerts.settings import AlertSettings
from alerts.stages import Moment, item_of
from alerts.surroundings import NOTHING, Surroundings
from alerts.told import read_told
from monitor.clock import Clock, rfc3339
from monitor.records import Alert, Incident
from monitor.store.outbox import Delivery, DeliveryState


class TestResult(msgspec.Struct, frozen=True):
    """`text`: where the message went, or what went wrong and what to do."""

    __test__ = False  # for pytest: not a test

    receiver: str
    ok: bool
    text: str


class Explained(msgspec.Struct, frozen=True):
    """One line of an explanation. `stage`: "told" and "outbox" for what was, else a stage's name.

    `outcome`: passes, stops, waits, would be sent; or what was: sent, never sent, given up, failing, under way.
    """

    receiver: str
    stage: str
    outcome: str
    reason: str = ""
    detail: str = ""


async def try_receivers(
    settings: AlertSettings, clock: Clock, zone: tzinfo, only: Sequence[str] = ()
) -> list[TestResult]:
    """Send a test message to every enabled receiver (or to those named), one after the other. Raises nothing for one
    that fails."""
    message = build_writer(settings, zone).test_message(clock.now_ns())
    results = []
    for name, enabled in enabled_receivers(settings).items():
        if only and name not in only:
            continue
        try:
            receiver = enabled.build(clock)
        except ValueError as error:  # a secret or a file that cannot be read
            results.append(TestResult(name, False, str(error)))
            continue
        try:
            handle = await receiver.send(message, {})
        except Undelivered as error:
            results.append(TestResult(name, False, str(error)))
        else:
            where = ", ".join(f"{key} {value}" for key, value in handle.items())
            results.append(TestResult(name, True, f"took the message ({where})"))
        finally:
            await receiver.close()
    return results


def explain(
    incident: Incident,
    settings: AlertSettings,
    deliveries: Sequence[DeliveryState],
    now_ns: int,
    zone: tzinfo,
    whats: Sequence[str] = ("opened",),
    around: Surroundings = NOTHING,
) -> list[Explained]:
    """Which stage does what with `incident` at each enabled receiver, and why.

    `deliveries`: from `Outbox.states(incident_id)`. `whats`: from the incident's history, oldest first. `around`:
    silences, planned work and other incidents as they are now. Whether a storm is under way only the daemon knows.
    """
    known = {state.receiver: state for state in deliveries}
    writer = build_writer(settings, zone)
    lines: list[Explained] = []
    for name, enabled in enabled_receivers(settings).items():
        state = known.get(name)
        lines.extend(_past(name, state, incident))
        delivery = Delivery(
            receiver=name,
            incident_id=incident.incident_id,
            revision=incident.revision,
            alert=Alert(f"{incident.incident_id}#{incident.revision}", incident.updated_ns, whats[-1], incident),
            whats=tuple(whats),
            reference=state.reference if state else "",
            seen_revision=state.sent_revision if state else 0,
        )
        moment = Moment(now_ns, name, enabled.update_s, enabled.in_place, around, summaries=enabled.summaries)
        items = [item_of(delivery, writer)]
        for stage in build_stages(settings, zone, writer):
            judged = stage.judge(items, moment)
            items = judged.survivors
            if judged.joined:
                lines.append(Explained(name, stage.name, "joins", "storm", judged.joined[0].post_id))
                break
            if not judged.stopped:
                lines.append(Explained(name, stage.name, "passes"))
                continue
            stop = judged.stopped[0]
            outcome = "stops" if stop.until_ns is None else f"waits until {rfc3339(stop.until_ns)}"
            lines.append(Explained(name, stage.name, outcome, stop.reason, stop.detail))
            break
        else:
            lines.append(Explained(name, "receiver", "would be sent", detail="; ".join(items[0].message.news)))
    return lines


def _past(name: str, state: DeliveryState | None, incident: Incident) -> list[Explained]:
    if state is None:
        return [Explained(name, "told", "never sent", detail="the outbox has nothing about it for this receiver")]
    told = read_told(state.reference)
    if told.group and not told.handle:
        detail = f"revision {told.revision} of {incident.revision}, {rfc3339(told.at_ns)}; as part of {told.group}"
        lines = [Explained(name, "told", "in a summary", detail=detail)]
    elif told.handle:
        handle = ", ".join(f"{key} {value}" for key, value in told.handle.items())
        detail = f"revision {told.revision} of {incident.revision}, {rfc3339(told.at_ns)}; {handle}"
        lines = [Explained(name, "told", "sent", detail=detail)]
    else:
        lines = [Explained(name, "told", "never sent")]
    at = rfc3339(state.changed_ns)
    if state.dead:
        lines.append(Explained(name, "outbox", "given up", state.note, f"revision {state.settled_revision}, {at}"))
    elif state.attempts:
        detail = f"{state.attempts} attempts, next {rfc3339(state.next_attempt_ns)}"
        lines.append(Explained(name, "outbox", "failing", state.note, detail))
    elif state.sending_revision:
        lines.append(Explained(name, "outbox", "under way", detail=f"revision {state.sending_revision}, {at}"))
    elif state.note:
        lines.append(Explained(name, "outbox", "stopped", state.note, f"revision {state.settled_revision}, {at}"))
    return lines
