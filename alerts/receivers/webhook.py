"""Any system that takes a signed JSON document by HTTP POST, or an SMS gateway with a template of its own.

Headers: `X-Faultline-Timestamp` (epoch seconds), `X-Faultline-Signature: v1=HEX`, which is HMAC-SHA256 with the shared
secret over `TIMESTAMP.BODY`, and `X-Faultline-Delivery`, which is the same when a delivery is repeated. Where it may
connect to is judged by `alerts.guard`.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from alerts.guard import Forbidden, GuardedHttp
from alerts.message import Message
from alerts.receivers.base import Pacer
from alerts.receivers.http_answer import meaning_of, raise_unless_taken
from alerts.settings import WebhookSettings
from alerts.settings_base import require_url
from alerts.settings_receivers import require_public
from alerts.text import cut
from monitor.clock import NS, Clock, rfc3339
from monitor.secret import SecretProblem, read_secret

TEMPLATE_LIMIT = 600  # characters of a text in a template: gateways cut or refuse longer ones


class WebhookReceiver:
    in_place = False
    repeat_s = 0.0

    def __init__(self, settings: WebhookSettings, clock: Clock, name: str) -> None:
        """Raises SecretProblem or ValueError, naming the setting."""
        where = f"alerts.webhooks {settings.name}"
        self.name = name
        self.update_s = settings.update_s
        self.most_per_hour = settings.most_per_hour
        self.summaries = bool(settings.template)
        self.pacer = Pacer(clock, settings.interval_s)
        self._clock = clock
        self._settings = settings
        self._url = settings.url or read_secret(settings, "url", where) or ""
        try:
            require_url("url", self._url)
            require_public("url", self._url, settings.allow_networks)
        except ValueError as error:
            # The address may be a secret, so the message does not repeat it.
            raise SecretProblem(f"{where}: {str(error).replace(self._url, '...')}") from None
        self._secret = read_secret(settings, "secret", where)
        self._authorization = read_secret(settings, "authorization", where)
        self._where = f"the webhook {settings.name} at {urlsplit(self._url).hostname}"
        networks = [ip_network(network) for network in settings.allow_networks]
        self._http = GuardedHttp(settings.timeout_s, networks, settings.ca_file, settings.local_address)

    async def send(self, message: Message, handle: Mapping[str, str]) -> Mapping[str, str]:
        await self.pacer.turn()
        body, kind = self._body(message, bool(handle.get("delivery")))
        headers = {"Content-Type": kind, "User-Agent": "Faultline", **self._signed(body)}
        delivery = hashlib.sha256(f"{self.name} {message.incident_id} {message.revision}".encode()).hexdigest()[:32]
        headers["X-Faultline-Delivery"] = delivery
        if self._authorization:
            headers["Authorization"] = self._authorization
        try:
            answer = await self._http.request("POST", self._url, headers, body)
        except (OSError, Forbidden) as error:
            raise meaning_of(self._where, error) from None
        raise_unless_taken(self._where, answer)
        return {"delivery": delivery}

    async def check(self) -> None:
        """A connection is all that can be tried without telling anybody."""
        parts = urlsplit(self._url)
        try:
            await self._http.reach(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        except (OSError, Forbidden) as error:
            raise meaning_of(self._where, error) from None

    async def close(self) -> None:
        return None

    def _signed(self, body: bytes) -> dict[str, str]:
        if self._secret is None:
            return {}
        at = str(self._clock.now_ns() // NS)
        return {"X-Faultline-Timestamp": at, "X-Faultline-Signature": signature(self._secret, at, body)}

    def _body(self, message: Message, known: bool) -> tuple[bytes, str]:
        if not self._settings.template:
            return msgspec.json.encode(document(message, known)), "application/json; charset=utf-8"
        filled = _fill(json.loads(self._settings.template), _words(message))
        if self._settings.encoding == "form":
            return urlencode(filled).encode(), "application/x-www-form-urlencoded"
        return msgspec.json.encode(filled), "application/json; charset=utf-8"


def signature(secret: str, timestamp: str, body: bytes) -> str:
    return "v1=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def document(message: Message, known: bool) -> dict[str, Any]:
    """What a machine is sent. `known`: it was sent something about this incident before. Times are RFC 3339 UTC."""
    machine = msgspec.structs.asdict(message.machine)
    for name in [name for name in machine if name.endswith("_ns")]:
        at_ns = machine.pop(name)
        machine[f"{name.removesuffix('_ns')}_at"] = rfc3339(at_ns) if at_ns is not None else None
    return {
        "version": 1,
        "incident_id": message.incident_id,
        "revision": message.revision,
        "first": not known,
        "title": message.title,
        "text": message.text,
        "news": list(message.news),
        "facts": [{"label": fact.label, "value": fact.value} for fact in message.facts],
        "url": message.url,
        **machine,
    }


def _words(message: Message) -> dict[str, str]:
    return {
        "title": message.title,
        "text": cut(message.text, TEMPLATE_LIMIT),
        "news": cut(" ".join(message.news), TEMPLATE_LIMIT),
        "url": message.url,
        "status": message.machine.status,
        "incident_id": message.incident_id,
    }


def _fill(value: Any, words: Mapping[str, str]) -> Any:
    """Fill {name} in every string; no other braces have a meaning, and what was filled in is not looked at again."""
    if isinstance(value, dict):
        return {key: _fill(inner, words) for key, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner, words) for inner in value]
    if not isinstance(value, str):
        return value
    parts, rest = [], value
    while rest:
        before, brace, after = rest.partition("{")
        name, end, behind = after.partition("}")
        if brace and end and name in words:
            parts += [before, words[name]]
            rest = behind
        else:
            parts += [before, brace]
            rest = after
    return "".join(parts)
