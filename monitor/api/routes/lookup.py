"""The look-up: what an agent types becomes a verdict, at once from memory, and better by a live check.

This is the request that must be fast: its body is decoded by msgspec (pydantic names what is wrong when that fails), it
asks no database, its audit entry is written with others, and the way to it is short (monitor.api.direct).
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.responses import Response, StreamingResponse
from starlette.types import Scope

from correlation.verdict import AtHome
from monitor.api import models as m
from monitor.api import present
from monitor.api.at_home import told_at_home
from monitor.api.auth import Principal, permitted
from monitor.api.context import Api, answer, client, encoded, log, problems
from monitor.api.feed import EVENT_STREAM, HEARTBEAT_S, EventStream, encode
from monitor.api.granted import LooksUp
from monitor.api.live import Lookup
from monitor.api.problems import Problem
from monitor.clock import NS, rfc3339
from monitor.desk import Answer, judge_line, look_up
from monitor.desk.lookup import IDS
from monitor.records import Event, VerdictCode

FOLLOW_S = 15.0
LOOK_S = 0.1  # how often the engine's view is looked at while somebody waits
CALLED_S = 600.0  # a second call about a line within that time is no new evidence
ASKED = {
    "x-permission": "lookup",
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/LookupIn"}}},
    },
}


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """models.LookupIn, decoded faster."""

    key: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    reason: Literal["call", "check", "other"] | None = None
    verified_by: Literal["customer_number", "phone_password", "callback", "address_and_name", "other"] | None = None
    wired_works: bool | None = None


_decode = msgspec.json.Decoder(Asked).decode


def asked(body: bytes) -> Asked:
    """Raises RequestValidationError that names the field."""
    try:
        made = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        made = None
    if made is None or not (key := made.key.strip()):
        try:
            slow = m.LookupIn.model_validate_json(body)
        except ValidationError as error:
            errors = [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_context=False)]
            raise RequestValidationError(errors) from None
        return Asked(slow.key, slow.reason, slow.verified_by, slow.wired_works)
    made.key = key
    return made


def routes(api: Api) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["lookup"])
    services = api.services
    seconds = services.metrics.histogram(
        "lookup_seconds", "time to a verdict", (0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.2, 1)
    )
    verdicts = services.metrics.counter("lookups_total", "look-ups by verdict", ["verdict"])
    counted = {code: verdicts.labels(code.value) for code in VerdictCode}
    pace = Pace(services.settings.lookups_alarm_per_hour)

    def reply(scope: Scope, sent: bytes) -> bytes:
        who = permitted(scope, "lookup")
        body = asked(sent)
        begin = time.perf_counter()
        at_home = AtHome(body.wired_works)
        found = _find(body.key, who, at_home)
        open_data = body.verified_by is not None or who.may("personal")
        address = str((scope.get("client") or ("",))[0])
        shown = _answer(address, who, found, open_data, body.reason or "", body.verified_by or "", at_home)
        seconds.observe(time.perf_counter() - begin)
        if body.reason == "call" and found.row is not None:
            _called(found.row, found.verdict.line_id)
        return encoded(shown)

    api.direct["POST", "/api/v1/lookup"] = reply

    @router.post("/lookup", response_model=m.LookupOut, responses=problems(413), openapi_extra=ASKED)
    async def lookup(request: Request) -> Response:
        """The verdict for the line that `key` names, or the candidates when it names several."""
        return Response(reply(request.scope, await request.body()), media_type="application/json")

    @router.get("/lookup", response_model=m.LookupOut, responses=problems())
    async def lookup_by_id(
        request: Request,
        who: LooksUp,
        key: Annotated[str, Query(min_length=1, max_length=200, description="line id, customer id, serial, endpoint")],
    ) -> Response:
        """The same by ids only: phone numbers, names and addresses do not belong in an address line."""
        found = _find(key, who, AtHome(), by_ids=True)
        return answer(_answer(client(request), who, found, who.may("personal"), "", ""))

    @router.get(
        "/lookup/{lookup_id}/stream", responses={**problems(404), 200: EVENT_STREAM}, response_class=StreamingResponse
    )
    async def follow(lookup_id: str, who: LooksUp) -> Response:
        """The verdict of a look-up as it improves by the live check, for some seconds."""
        found = api.live.find(lookup_id)
        if found is None or found.who != who.identity:
            raise Problem(404, "there is no such look-up (any more): look the line up again")
        return EventStream(api.feed, _follow(found))

    def _find(key: str, who: Principal, at_home: AtHome, by_ids: bool = False) -> Answer:
        inventory = services.inventory()
        visible = api.reach(who).row if who.regions else None
        allowed = IDS if by_ids else None
        now_ns = services.clock.now_ns()
        return look_up(key, services.view(), inventory, services.bindings(), now_ns, allowed, visible, at_home)

    def _answer(
        address: str,
        who: Principal,
        found: Answer,
        open_data: bool,
        reason: str,
        verified: str,
        at_home: AtHome = AtHome(),  # noqa: B008  # frozen
    ) -> present.Shown:
        verdict = found.verdict
        detail = " ".join(part for part in (verdict.code.value, found.matched_by or "", reason, verified) if part)
        api.audit.note(who, "lookup", verdict.line_id or f"{found.matches} matches", detail, address)
        counted[verdict.code].inc()
        if pace.beyond(who.name):
            log.warning("%s has looked up more than %d lines in an hour", who.name, pace.limit)
        asked_ns = api.live.ask(found.row)[0] if found.row is not None else 0
        remembered = api.live.remember(verdict.line_id, who.identity, found.matched_by, open_data, asked_ns, at_home)
        return _shown(remembered, found)

    def _shown(lookup: Lookup, found: Answer) -> present.Shown:
        view, inventory = services.view(), services.inventory()
        verdict, row = found.verdict, found.row
        incident = None
        if verdict.incident_id:
            incident = next((i for i in view.incidents if i.incident_id == verdict.incident_id), None)
        live: dict[str, Any] = {"asked_at": present.time(lookup.asked_ns), "answered": None, "rtt_ms": None}
        if row is not None and lookup.asked_ns and view.generation == inventory.generation:
            if int(view.replied_ns[row]) >= lookup.asked_ns:
                live["answered"], live["rtt_ms"] = True, present.number(view.rtt_ms[row])
            elif int(view.probed_ns[row]) >= lookup.asked_ns:
                live["answered"] = False
        return {
            "lookup_id": lookup.lookup_id,
            "at": rfc3339(verdict.at_ns),
            "matched_by": found.matched_by.value if found.matched_by else None,
            "matches": found.matches,
            "line": present.card(inventory, row, lookup.open_data) if row is not None else None,
            "verdict": present.verdict(verdict, services.zone),
            "incident": present.brief(incident) if incident else None,
            "candidates": [present.candidate(c) for c in found.candidates],
            "live": live,
        }

    async def _follow(lookup: Lookup) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        end, beat = loop.time() + FOLLOW_S, loop.time() + HEARTBEAT_S
        at_home = lookup.at_home
        if lookup.line_id:
            at_home = await told_at_home(services, lookup.line_id, at_home.wired_works)
        view, shown = None, None
        while loop.time() < end and lookup.line_id:
            if services.view() is not view:
                view = services.view()
                row = services.inventory().index_of(lookup.line_id)
                if row is None:
                    break
                now_ns = services.clock.now_ns()
                verdict = judge_line(row, view, services.inventory(), services.bindings(), now_ns, at_home)
                body = _shown(lookup, Answer(verdict, row, lookup.matched_by, 1))
                if (sign := _sign(body)) != shown:
                    shown = sign
                    yield encode("verdict", msgspec.json.encode(body).decode())
            if loop.time() > beat:
                beat = loop.time() + HEARTBEAT_S
                yield b": still here\n\n"
            await asyncio.sleep(LOOK_S)
        yield encode("done", "{}")

    def _called(row: int, line_id: str) -> None:
        now_ns = services.clock.now_ns()
        signs = services.view().signs.get(row)
        if signs is None or now_ns - signs.call_ns > CALLED_S * NS:
            api.tell_engine(Event(now_ns, line_id, "call", source="desk"))

    return router


def _sign(body: present.Shown) -> tuple[object, ...]:
    """What makes an answer another one: everything but ages and the moment."""
    v = body["verdict"]
    evidence = tuple((e["code"], e["text"]["en"]) for e in v["evidence"] if e["code"] != "seen.replied_rtt")
    also = tuple(a["code"] for a in v["also_seen"])
    said = v["say"]["en"]
    return (v["code"], v["confidence"], v["since"], v["incident_id"], said, evidence, also, body["live"]["answered"])


class Pace:
    """Counts look-ups per person and hour; `beyond` is true once per hour for who does too many."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def beyond(self, name: str) -> bool:
        now = time.monotonic()
        since, count = self._counts.get(name, (now, 0))
        if now - since > 3600:
            since, count = now, 0
        self._counts[name] = (since, count + 1)
        while len(self._counts) > 10_000:
            self._counts.popitem(last=False)
        return count + 1 == self.limit + 1
