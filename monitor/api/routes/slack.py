"""`POST /hooks/slack`: somebody pressed a button in Slack. Believed only with Slack's signature over the very bytes.

The signature (v0: HMAC-SHA256 of "v0:TIMESTAMP:BODY" with the app's signing secret) and its age are checked before
anything is parsed. The answer is quick and empty, as Slack asks; what the button does is an event like any other, and
the same press delivered twice is the same event.
"""

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import parse_qs

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from monitor.api.auth import Principal
from monitor.api.context import Api, problems
from monitor.api.problems import Problem
from monitor.api.services import SlackButtons
from monitor.clock import NS
from monitor.records import Event, IncidentStatus

MAX_AGE_S = 300
MAX_BODY = 256 * 1024
ACK_ACTION = "faultline_ack"


def routes(api: Api, slack: SlackButtons) -> APIRouter:
    router = APIRouter(tags=["slack"])
    services, state = api.services, api.services.state

    @router.post("/hooks/slack", responses=problems(), include_in_schema=False)
    async def pressed(request: Request) -> Response:
        body = await request.body()
        if len(body) > MAX_BODY:
            raise Problem(413, "that is more than a button says")
        headers = request.headers
        at, given = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
        if not _signed(slack.secret, at, given, body, services.clock.now_ns()):
            raise Problem(401, "the signature is missing, wrong or too old")
        payload = _payload(body)
        given_user = payload.get("user")
        user: dict[str, Any] = given_user if isinstance(given_user, dict) else {}
        user_id = str(user.get("id", ""))[:40]
        name = str(user.get("username") or user.get("name") or user_id)[:80]
        who = Principal(f"slack:{name}", "noc")
        for action in payload.get("actions") or []:
            if not isinstance(action, dict) or action.get("action_id") != ACK_ACTION:
                continue  # a button that only opens a page is reported too
            if slack.users and user_id not in slack.users:
                api.note(request, who, "ack_refused", str(action.get("value", ""))[:300], user_id)
                return _said(f"You ({name}) may not acknowledge: ask for alerts.slack.ack_users.")
            if not await _acknowledge(request, who, str(action.get("value", "")), str(action.get("action_ts", at))):
                return _said("This incident is over, or it is not known any more.")
        return Response(status_code=200)

    async def _acknowledge(request: Request, who: Principal, incident_id: str, pressed_at: str) -> bool:
        found = await to_thread.run_sync(state.incident, incident_id)
        if found is None:
            taken = await to_thread.run_sync(services.acknowledge_line, incident_id, who.name)
            services.alerts_changed()
        else:
            taken = found.status is not IncidentStatus.RESOLVED
            event_id = f"slack:{hashlib.sha256(f'{incident_id} {who.name} {pressed_at}'.encode()).hexdigest()[:24]}"
            if taken and await to_thread.run_sync(state.known_event, event_id) is None:
                now_ns = services.clock.now_ns()
                event = Event(
                    now_ns, f"incident:{incident_id}", "ack", "", source="slack", by=who.name, event_id=event_id
                )
                await services.submit(event)
                await to_thread.run_sync(state.record_event, event)
        if taken:
            api.note(request, who, "ack", incident_id, "by a button in Slack")
        return taken

    return router


def _signed(secret: str, at: str, given: str, body: bytes, now_ns: int) -> bool:
    if not (at.isascii() and at.isdigit() and len(at) <= 12) or abs(now_ns // NS - int(at)) > MAX_AGE_S:
        return False
    wanted = "v0=" + hmac.new(secret.encode(), b"v0:" + at.encode() + b":" + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted.encode(), given.encode("utf-8", "replace"))


def _payload(body: bytes) -> dict[str, Any]:
    """Raises Problem 422."""
    try:
        payload = json.loads(parse_qs(body.decode("utf-8"), strict_parsing=True, max_num_fields=20)["payload"][0])
    except (ValueError, KeyError, RecursionError):
        payload = None
    if not isinstance(payload, dict):
        raise Problem(422, "payload: is not what a button sends")
    return payload


def _said(text: str) -> Response:
    body = json.dumps({"response_type": "ephemeral", "replace_original": False, "text": text})
    return Response(body, 200, media_type="application/json")
