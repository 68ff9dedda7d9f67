"""One line for people from each message of a router, for `faultline cpe watch`. Secrets are hidden."""

import json

from collectors.cpe.bulkdata import is_bulk
from collectors.cpe.frames import Inbound
from collectors.cpe.normal import Refused, clean, decode_json
from collectors.cpe.redact import HIDDEN, is_secret, names_secret, printable, shown
from collectors.cpe.settings import CpeSettings
from collectors.cpe.usp import calls
from collectors.cpe.usp.notices import Notify
from collectors.cpe.usp.wire import Malformed

MAX_SHOWN = 2000
MAX_DEPTH = 32  # of what is nested deeper, nothing is shown


def describe(message: Inbound, settings: CpeSettings, reply_mark: str) -> str:
    """`serial  what  content`, cut at some thousand characters."""
    usp = settings.usp.controller_topic + "/"
    if message.topic.startswith(usp):
        serial = message.topic[len(usp) :].partition("/")[0]
        text = _record(message.payload)
    else:
        own = settings.collectd_prefix or settings.prefix
        prefix = own if message.topic.startswith(own + "/") else settings.prefix
        serial, _, rest = message.topic.removeprefix(prefix + "/").partition("/")
        text = f"{rest.partition('/' + reply_mark)[0]}  {_json(message.payload)}"
    return f"{clean(serial):16} {text}"[:MAX_SHOWN]


def _json(payload: bytes) -> str:
    try:
        content = decode_json(payload)
    except Refused:
        text = payload.decode("utf-8", "replace")
        return f"{HIDDEN} (not JSON, {len(payload)} bytes)" if names_secret(text) else clean(text)
    if is_bulk(content):
        entries = [entry for entry in content["Report"] if isinstance(entry, dict)]
        return "; ".join(_object(entry) for entry in entries)
    return _object(content) if isinstance(content, dict) else clean(json.dumps(_hidden(content)))


def _object(content: dict[str, object]) -> str:
    words = []
    for name, value in content.items():
        text = value if isinstance(value, str) else json.dumps(_hidden(value))
        words.append(f"{clean(name)}={shown(name, text)}")
    return " ".join(words)


def _hidden(value: object, depth: int = 1) -> object:
    """Without what stands under a secret's name, be it a text, a number, a list or an object."""
    if depth > MAX_DEPTH:
        return "..."
    if isinstance(value, dict):
        return {printable(k): HIDDEN if is_secret(k) and v else _hidden(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list):
        return [_hidden(one, depth + 1) for one in value]
    return printable(value) if isinstance(value, str) else value


def _record(payload: bytes) -> str:
    try:
        record, msg = calls.open_record(payload)
    except Malformed as error:
        return f"not USP: {error}"
    head = clean(record.from_id)
    if msg is None or msg.body is None:
        return f"{head} {'disconnect' if record.disconnect else 'connect'}"
    if msg.body.request is not None and msg.body.request.notify is not None:
        return f"{head} {_notify(msg.body.request.notify)}"
    return f"{head} an answer"


def _told(name: str, value: str) -> str:
    """A parameter of an event; some hold JSON with names of its own (ParameterMap), and with secrets."""
    return _json(value.encode()) if value.lstrip()[:1] in ("{", "[") else shown(name, value)


def _notify(notify: Notify) -> str:
    if (event := notify.event) is not None:
        if event.event_name == "Push!":
            return f"Push! {_json(event.params.get('Data', '').encode())}"
        values = " ".join(f"{clean(name)}={_told(name, value)}" for name, value in event.params.items())
        return f"{printable(event.obj_path + event.event_name)} {values}".rstrip()
    if (change := notify.value_change) is not None:
        return f"changed {printable(change.param_path)} {shown(change.param_path, change.param_value)}"
    if (done := notify.oper_complete) is not None:
        return f"completed {printable(f'{done.obj_path}{done.command_name} {done.command_key}')}"
    return clean(notify.subscription_id)
