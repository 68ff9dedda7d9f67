"""What people and outside systems say to the engine: planned work, and rows of events.csv as JSON."""

import secrets
from typing import cast

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from monitor.api import models as m
from monitor.api.auth import Principal
from monitor.api.context import POLLED, Api, answer, given_time, polled, problems
from monitor.api.granted import PlansMaintenance, ReadsMaintenance, SendsEvents
from monitor.api.present import Shown
from monitor.api.problems import Problem
from monitor.api.reach import Reach
from monitor.clock import NS, number_to_ns, parse_time, rfc3339
from monitor.inventory import Inventory
from monitor.inventory.groups import CHANGING
from monitor.records import EVENT_KINDS, Event, EventKind, Subject, parse_subject

KEPT_S = 30 * 86400
LONGEST_S = 14 * 86400
BATCH = 5_000
NAMED = 100  # wrong rows that an answer names
# Said by people through endpoints of their own, which check more and write down who it was.
WORK = ("maintenance_start", "maintenance_end")
BY_PEOPLE = frozenset({"ack", "note", "etr", "resolve", *WORK})


def routes(api: Api) -> APIRouter:
    router = APIRouter(prefix="/api/v1")
    services, state = api.services, api.services.state

    @router.post(
        "/maintenance",
        response_model=m.MaintenanceOut,
        status_code=201,
        responses=problems(404),
        tags=["maintenance"],
    )
    async def plan(body: m.MaintenanceIn, request: Request, who: PlansMaintenance) -> Response:
        """Announce work: what falls under it within its window is shown as planned, and nobody is woken."""
        inventory = services.inventory()
        starts_ns, ends_ns = given_time(body.starts_at, "starts_at"), given_time(body.ends_at, "ends_at")
        if ends_ns <= starts_ns:
            raise Problem(422, "ends_at: lies before starts_at")
        if ends_ns - starts_ns > LONGEST_S * NS:
            raise Problem(422, "ends_at: planned work lasts at most 14 days")
        if ends_ns < services.clock.now_ns():
            raise Problem(422, "ends_at: lies in the past")
        kind, name = body.scope.kind, body.scope.name
        known = {
            "element": inventory.elements.index_of,
            "group": inventory.groups.index_of,
            "line": inventory.index_of,
        }[kind](name)
        subject = name if kind == "line" else f"{kind}:{name}"
        if known is None or not api.reach(who).subject(subject):
            raise Problem(404, f"there is no such {kind}")
        number = secrets.token_hex(6)
        event = Event(
            starts_ns,
            subject,
            "maintenance_start",
            rfc3339(ends_ns),
            source=body.reason[:500],
            by=who.name,
            event_id=f"maintenance:{number}",
        )
        await _say(event)
        api.note(request, who, "maintenance", subject, f"{rfc3339(starts_ns)} {rfc3339(ends_ns)}")
        return answer(_shown(event, None, services.clock.now_ns()), 201)

    @router.get(
        "/maintenance", response_model=m.MaintenanceList, responses={**problems(), **POLLED}, tags=["maintenance"]
    )
    async def planned(request: Request, who: ReadsMaintenance) -> Response:
        """Work that runs or is to come, soonest first."""
        reach = api.reach(who)
        now_ns = services.clock.now_ns()
        items = [
            shown
            for event, ended in (await _windows(now_ns)).values()
            if reach.touches(event.subject) and parse_time((shown := _shown(event, ended, now_ns))["ends_at"]) > now_ns
        ]
        return polled(request, {"items": sorted(items, key=lambda i: str(i["starts_at"]))})

    @router.delete("/maintenance/{maintenance_id}", status_code=204, responses=problems(404), tags=["maintenance"])
    async def end(maintenance_id: str, request: Request, who: PlansMaintenance) -> Response:
        """End or cancel it now."""
        now_ns = services.clock.now_ns()
        found = (await _windows(now_ns)).get(maintenance_id)
        if found is None or not api.reach(who).subject(found[0].subject):
            raise Problem(404, "there is no such planned work")
        event, ended = found
        if ended is None:
            event_id = f"maintenance-end:{maintenance_id}"
            await _say(Event(now_ns, event.subject, "maintenance_end", source="api", by=who.name, event_id=event_id))
            api.note(request, who, "maintenance_end", event.subject, maintenance_id)
        return Response(status_code=204)

    @router.post("/events", response_model=m.EventsOut, status_code=202, responses=problems(), tags=["events"])
    async def events(body: m.EventIn | list[m.EventIn], request: Request, who: SendsEvents) -> Response:
        """One row of events.csv, or up to 5,000, all or none. An `event_id` makes a repetition harmless."""
        given = body if isinstance(body, list) else [body]
        if len(given) > BATCH:
            raise Problem(413, f"at most {BATCH} events at once")
        made: list[Event] = []
        wrong: list[dict[str, str]] = []
        reach, now_ns = api.reach(who), services.clock.now_ns()
        for i, one in enumerate(given):
            try:
                made.append(_event(one, who, reach, now_ns))
            except _Refused as error:
                wrong.append({"field": f"{i}.{error.field}", "message": error.message})
        if wrong:
            more = f" (and {len(wrong) - 1} more; none was taken)" if len(wrong) > 1 else ""
            raise Problem(422, f"{wrong[0]['field']}: {wrong[0]['message']}{more}", errors=wrong[:NAMED])
        accepted = repeated = 0
        for event in made:
            if event.event_id and await to_thread.run_sync(state.known_event, event.event_id) is not None:
                repeated += 1
                continue
            await services.submit(event)
            if event.event_id:
                await to_thread.run_sync(state.record_event, event)
            accepted += 1
        api.note(request, who, "events", "", f"{accepted} accepted, {repeated} repeated")
        return answer({"accepted": accepted, "repeated": repeated}, 202)

    async def _say(event: Event) -> None:
        """In the journal first; remembered then, so that nothing is lost in between."""
        await services.submit(event)
        await to_thread.run_sync(state.record_event, event)

    async def _windows(now_ns: int) -> dict[str, tuple[Event, Event | None]]:
        """Announced work by id, with the event that ended it."""
        found = await to_thread.run_sync(state.events, "", now_ns - KEPT_S * NS, 10_000, WORK)
        ended = {e.event_id.partition(":")[2]: e for e in found if e.kind == "maintenance_end"}
        starts = {e.event_id.partition(":")[2]: e for e in found if e.kind == "maintenance_start"}
        return {number: (event, ended.get(number)) for number, event in starts.items()}

    return router


def _shown(event: Event, ended: Event | None, now_ns: int) -> Shown:
    subject = parse_subject(event.subject)
    name = f"{subject.group}:{subject.name}" if subject.kind == "group" else subject.name
    ends_ns = parse_time(event.value)
    if ended is not None:
        ends_ns = min(ends_ns, ended.at_ns)
    return {
        "maintenance_id": event.event_id.partition(":")[2],
        "scope": {"kind": subject.kind, "name": name, "text": {"de": name, "en": name}},
        "starts_at": rfc3339(event.at_ns),
        "ends_at": rfc3339(ends_ns),
        "reason": event.source,
        "by": event.by,
        "active": event.at_ns <= now_ns < ends_ns,
    }


class _Refused(Exception):
    """What is wrong with one row."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


def _event(given: m.EventIn, who: Principal, reach: Reach, now_ns: int) -> Event:
    """Raises _Refused."""
    if given.kind not in EVENT_KINDS:
        raise _Refused("kind", "is not a kind of events.csv")
    if given.kind in BY_PEOPLE:
        raise _Refused("kind", f"{given.kind} has an endpoint of its own")
    try:
        subject = parse_subject(given.subject)
    except ValueError as error:
        raise _Refused("subject", str(error)) from None
    # What lies in another region is as if it were not there.
    if not _known(subject, reach.inventory) or not reach.subject(given.subject):
        raise _Refused("subject", f"there is no such {subject.kind} in the inventory")
    if given.kind == "group_assigned":
        if subject.kind != "line":
            raise _Refused("subject", "a line is assigned to a group: give a line_id")
        if given.value.partition(":")[0] not in CHANGING or ":" not in given.value:
            raise _Refused("value", f"give KIND:NAME, of a kind that changes while running: {', '.join(CHANGING)}")
    try:
        at = given.at
        at_ns = now_ns if at is None else parse_time(at) if isinstance(at, str) else number_to_ns(at)
    except (ValueError, OverflowError) as error:
        raise _Refused("at", str(error)) from None
    if at_ns > now_ns + 3600 * NS or at_ns < now_ns - 7 * 86400 * NS:
        raise _Refused("at", "lies in the future or more than a week back")
    # One system's numbers are not another's.
    event_id = f"{who.name}:{given.event_id}" if given.event_id else ""
    if given.kind == "call" and not event_id:  # remembered all the same: who called is what the ranking learns from
        event_id = f"{who.name}:call:{given.subject}:{at_ns}"
    return Event(at_ns, given.subject, cast(EventKind, given.kind), given.value, who.name, event_id=event_id)


def _known(subject: Subject, inventory: Inventory) -> bool:
    """Resolvers, sources and incidents need not be in the inventory."""
    if subject.kind == "line":
        return inventory.index_of(subject.name) is not None
    if subject.kind == "element":
        return inventory.elements.index_of(subject.name) is not None
    if subject.kind == "group" and subject.group != "resolver":
        return inventory.groups.index_of(f"{subject.group}:{subject.name}") is not None
    return True
