"""A message as an e-mail: one thread per incident by stable Message-IDs, text and HTML parts.

The first mail's id derives from the incident alone and a later one's from incident and revision, so that a mail sent
twice around a crash is the same mail to a mail program. The subject stays as it was at first, because some programs
break the thread when it changes. Every header value is one cleaned line; addresses come from the settings alone.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape

from alerts.message import Message
from alerts.settings import EmailSettings
from alerts.text import one_line

SUBJECT_LIMIT = 160
_COLORS = {"🔴": "#cf222e", "🟠": "#bc4c00", "🟡": "#bf8700", "🟢": "#1a7f37", "🔵": "#0969da"}
_POLICY = SMTP.clone(cte_type="7bit")  # not every server on the way takes 8bit


def message_id(incident_id: str, domain: str, revision: int | None = None) -> str:
    """`revision` None: of the incident's first mail."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", incident_id[:40]).strip("-")
    digest = hashlib.sha256(incident_id.encode("utf-8", "replace")).hexdigest()[:16]
    parts = ["faultline", slug, digest, "" if revision is None else f"r{revision}"]
    return f"<{'.'.join(part for part in parts if part)}@{domain}>"


def subject_of(message: Message) -> str:
    return one_line(f"[Faultline] {message.title}", SUBJECT_LIMIT)


def compose(message: Message, settings: EmailSettings, handle: Mapping[str, str]) -> EmailMessage:
    """`handle`: message_id, last_id and subject of the thread; empty for the first mail."""
    domain = settings.sender.rpartition("@")[2]
    first = handle.get("message_id", "")
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = settings.sender
    mail["To"] = ", ".join(settings.recipients)
    mail["Date"] = format_datetime(datetime.fromtimestamp(message.at_ns // 1_000_000_000, UTC))
    mail["Message-ID"] = message_id(message.incident_id, domain, message.revision if first else None)
    mail["Subject"] = one_line(f"Re: {handle.get('subject', '')}", SUBJECT_LIMIT) if first else subject_of(message)
    if first:
        last = handle.get("last_id", first)
        mail["In-Reply-To"] = one_line(last, 300)
        mail["References"] = one_line(first if last == first else f"{first} {last}", 600)
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail["List-Id"] = f"Faultline alerts <faultline-alerts.{domain}>"
    mail.set_content(_text(message), charset="utf-8")
    mail.add_alternative(_html(message), subtype="html", charset="utf-8")
    return mail


def _text(message: Message) -> str:
    parts = [*message.news, ""] if message.news and not message.first else []
    parts += [f"{message.mark} {message.title}", ""]
    if message.text:
        parts += [message.text, ""]
    width = max((len(fact.label) for fact in message.facts), default=0)
    parts += [f"{fact.label + ':':<{width + 1}} {fact.value}" for fact in message.facts]
    if message.url:
        parts += ["", f"{message.open_words}: {message.url}"]
    return "\n".join([*parts, "", "-- ", message.footer, ""])


def _html(message: Message) -> str:
    news = "".join(f'<p style="margin:0 0 8px;font-weight:600">{escape(line)}</p>' for line in message.news)
    rows = "".join(
        '<tr><td style="padding:3px 16px 3px 0;color:#57606a;vertical-align:top;white-space:nowrap">'
        f'{escape(fact.label)}</td><td style="padding:3px 0">{escape(fact.value)}</td></tr>'
        for fact in message.facts
    )
    text = escape(message.text).replace("\n", "<br>")
    link = (
        f'<p style="margin:16px 0"><a href="{escape(message.url, quote=True)}" style="color:#0550ae">'
        f"{escape(message.open_words)}</a></p>"
        if message.url
        else ""
    )
    return (
        '<!doctype html><html><head><meta charset="utf-8"></head>'
        '<body style="margin:0;padding:20px;font:15px/1.45 system-ui,sans-serif;color:#1f2328;background:#ffffff">'
        f"{'' if message.first else news}"
        f'<h1 style="margin:0 0 12px;font-size:20px;border-left:6px solid {_COLORS.get(message.mark, "#57606a")};'
        f'padding-left:12px">{escape(message.title)}</h1>'
        f"{f'<p>{text}</p>' if text else ''}"
        f'<table style="border-collapse:collapse;font-size:14px">{rows}</table>{link}'
        f'<p style="margin-top:24px;font-size:12px;color:#57606a">{escape(message.footer)}</p></body></html>\n'
    )
