"""One incident as a message before it has a form: title, sentences, facts, link. Receivers give it the form.

All text in it is cleaned and bounded, in the configured language and time zone; nothing in it depends on the moment of
writing, so the same state gives the same message and its digest tells whether there is anything to send.
"""

import hashlib
from datetime import datetime, tzinfo
from urllib.parse import quote

import msgspec

from alerts.text import clean, one_line
from alerts.told import Told, news_of
from monitor.records import Alert, Coded, Incident, IncidentStatus, Scope, ScopeKind
from monitor.words import say

TITLE_LIMIT = 140
SENTENCE_LIMIT = 1500
VALUE_LIMIT = 300
NOTES_SHOWN = 3
_NS = 1_000_000_000
_MARKS = {"suspected": "🟡", "open": "🔴", "recovering": "🟠", "resolved": "🟢"}


class Fact(msgspec.Struct, frozen=True):
    label: str
    value: str


class Machine(msgspec.Struct, frozen=True):
    """The same incident for machines: codes and numbers, times ns UTC (None: not yet). `kind` may also be `storm`,
    `digest` and `test`."""

    kind: str
    status: str
    severity: str = "indeterminate"
    scope_kind: str = ""
    scope: str = ""
    cause: str = ""
    what: str = ""
    confidence: float = 0.0
    started_ns: int | None = None
    detected_ns: int | None = None
    resolved_ns: int | None = None
    etr_ns: int | None = None
    lines_down: int = 0
    lines_affected: int = 0
    lines_at_risk: int = 0
    calls: int = 0
    acked_by: str = ""
    parent_id: str = ""


class Message(msgspec.Struct, frozen=True):
    """`mark` is a coloured sign for the status; `news` are sentences of what changed since the last telling.
    `ack_words`: of the button to acknowledge; empty: there is nothing to acknowledge."""

    incident_id: str
    revision: int
    at_ns: int
    mark: str
    title: str
    text: str
    facts: tuple[Fact, ...]
    url: str
    open_words: str
    footer: str
    news: tuple[str, ...]
    first: bool
    over: bool
    machine: Machine
    ack_words: str = ""

    @property
    def digest(self) -> str:
        """Of what is shown; the revision, the time and the news are not part of it."""
        shown = [self.mark, self.title, self.text, self.url, *(part for f in self.facts for part in (f.label, f.value))]
        return hashlib.sha256("\x00".join(shown).encode()).hexdigest()[:16]


class Writer:
    """Writes messages in one language and zone. `page_url`: base address of the web page, or empty."""

    def __init__(self, language: str, zone: tzinfo, page_url: str, grew_factor: float) -> None:
        self._language = language
        self._zone = zone
        self.page_url = page_url.rstrip("/")
        self._grew_factor = grew_factor

    def news(self, told: Told, alert: Alert) -> tuple[Coded, ...]:
        incident = alert.incident
        when = {}
        if incident.resolved_ns is not None:
            when["resolved"] = self.when(incident.resolved_ns)
        if incident.etr is not None:
            when["etr"] = self.when(incident.etr.at_ns)
        return news_of(told, alert, self.scope(incident.scope), when, self._grew_factor)

    def write(self, told: Told, alert: Alert) -> Message:
        incident = alert.incident
        news = [one_line(self.words(coded), VALUE_LIMIT) for coded in self.news(told, alert)]
        return Message(
            incident_id=one_line(incident.incident_id, VALUE_LIMIT),
            revision=incident.revision,
            at_ns=alert.at_ns,
            mark=self.mark(incident),
            title=self._title(incident),
            text=clean(" ".join(self.words(coded) for coded in incident.explanation), SENTENCE_LIMIT),
            facts=self._facts(alert),
            url=self._url(incident),
            open_words=self.word("open_page"),
            footer=self.word("why_subscribed"),
            news=tuple(news),
            first=not told.handle,
            over=incident.status is IncidentStatus.RESOLVED,
            machine=_machine(alert),
            ack_words=self.word("acknowledge") if _can_be_acked(incident) else "",
        )

    def test_message(self, at_ns: int) -> Message:
        """What `faultline alerts test` sends: says that nothing has failed."""
        return Message(
            incident_id=f"test-{at_ns}",
            revision=1,
            at_ns=at_ns,
            mark="🔵",
            title=self.word("test_title"),
            text=self.word("test_text"),
            facts=(Fact(self.word("label_started"), self.when(at_ns)),),
            url=self.page_url,
            open_words=self.word("open_page"),
            footer=self.word("why_subscribed"),
            news=(),
            first=True,
            over=True,
            machine=Machine("test", "resolved", started_ns=at_ns, resolved_ns=at_ns),
        )

    def mark(self, incident: Incident) -> str:
        return _MARKS.get(incident.status, "🔴")

    def words(self, coded: Coded) -> str:
        """The sentence; a code without words here must not keep an outage from being told, so it is shown bare."""
        try:
            return say(coded, self._language, self._zone)
        except (KeyError, ValueError, IndexError, OverflowError, OSError):
            return " ".join([coded.code, *(f"{name}={value}" for name, value in coded.params.items())])

    def when(self, at_ns: int) -> str:
        """Local date and time with the zone's name: what is read days later must still be plain."""
        form = "%d.%m.%Y %H:%M %Z" if self._language == "de" else "%Y-%m-%d %H:%M %Z"
        try:
            return datetime.fromtimestamp(at_ns // _NS, self._zone).strftime(form)
        except (OverflowError, ValueError, OSError):
            return str(at_ns)

    def scope(self, scope: Scope) -> str:
        if scope.kind is ScopeKind.AREA and scope.name.count(",") == 2:
            lat, lon, radius_km = scope.name.split(",")
            return self.word("area", centre=one_line(f"{lat}, {lon}", 60), radius_km=one_line(radius_km, 20))
        if scope.kind is ScopeKind.SOURCE:
            return self.word("prober", name=one_line(scope.name, VALUE_LIMIT))
        return one_line(scope.name, VALUE_LIMIT)

    def _title(self, incident: Incident) -> str:
        over = incident.status is IncidentStatus.RESOLVED
        lines = self.word("lines_were" if over else "lines_short", **_line_counts(incident))
        title = f"{self.word(f'kind_{incident.kind}')}: {one_line(self.scope(incident.scope), 80)}"
        return one_line(f"{title} · {lines}" if incident.lines_affected else title, TITLE_LIMIT)

    def _facts(self, alert: Alert) -> tuple[Fact, ...]:
        incident = alert.incident
        facts = [("status", self._status(alert))]
        if incident.status is not IncidentStatus.RESOLVED:
            facts.append(("severity", self.word(f"severity_{incident.severity}")))
        facts.append(("scope", self.scope(incident.scope)))
        if incident.lines_affected or incident.lines_at_risk:
            facts.append(("lines", self.word("lines", **_line_counts(incident))))
        facts.append(("started", self.when(incident.started_ns)))
        facts.append(("detected", self.when(incident.detected_ns)))
        if incident.resolved_ns is not None:
            facts.append(("resolved", self.when(incident.resolved_ns)))
        elif incident.etr is not None:
            code = "etr_noc" if incident.etr.source == "noc" else "etr_history"
            facts.append(("etr", self.word(code, at=self.when(incident.etr.at_ns))))
        facts.append(("confidence", self.word("ratio", value_ratio=incident.confidence)))
        if incident.runner_up is not None and incident.runner_up_confidence >= 0.05:
            ratio = self.word("ratio", value_ratio=incident.runner_up_confidence)
            facts.append(("runner_up", f"{self.scope(incident.runner_up)} ({ratio})"))
        if incident.calls:
            facts.append(("calls", str(incident.calls)))
        if incident.acked_by:
            at = f", {self.when(incident.acked_ns)}" if incident.acked_ns is not None else ""
            facts.append(("acked", f"{one_line(incident.acked_by, 80)}{at}"))
        if incident.parent_id:
            facts.append(("parent", incident.parent_id))
        facts.extend(("note", f"{one_line(n.by, 60)}: {n.text}") for n in incident.notes[-NOTES_SHOWN:])
        facts.append(("incident", incident.incident_id))
        return tuple(Fact(self.word(f"label_{name}"), one_line(value, VALUE_LIMIT)) for name, value in facts)

    def _status(self, alert: Alert) -> str:
        incident = alert.incident
        over = incident.status is IncidentStatus.RESOLVED
        name = alert.what if over and alert.what in ("withdrawn", "merged") else str(incident.status)
        status = self.word(f"status_{name}")
        if incident.reopened and not over:
            status += f" ({self.word('reopened', times=incident.reopened)})"
        return status

    def _url(self, incident: Incident) -> str:
        # The page is one document; which incident it shows stands behind the #, which never reaches a log.
        name = quote(incident.incident_id, safe="", errors="replace")
        return f"{self.page_url}/#incident={name}" if self.page_url else ""

    def word(self, name: str, /, **params: str | int | float) -> str:
        return self.words(Coded(f"alert_{name}", params))


def _can_be_acked(incident: Incident) -> bool:
    return incident.status is not IncidentStatus.RESOLVED and not incident.acked_by


def _machine(alert: Alert) -> Machine:
    i = alert.incident
    return Machine(
        kind=i.kind,
        status=i.status,
        severity=i.severity,
        scope_kind=i.scope.kind,
        scope=one_line(i.scope.name, VALUE_LIMIT),
        cause=one_line(i.cause, 100),
        what=alert.what,
        confidence=i.confidence,
        started_ns=i.started_ns,
        detected_ns=i.detected_ns,
        resolved_ns=i.resolved_ns,
        etr_ns=i.etr.at_ns if i.etr is not None else None,
        lines_down=i.lines_down,
        lines_affected=i.lines_affected,
        lines_at_risk=i.lines_at_risk,
        calls=i.calls,
        acked_by=one_line(i.acked_by, 100),
        parent_id=one_line(i.parent_id, VALUE_LIMIT),
    )


def _line_counts(incident: Incident) -> dict[str, str | int | float]:
    return {
        "lines_down": incident.lines_down,
        "lines_affected": incident.lines_affected,
        "lines_at_risk": incident.lines_at_risk,
        "lines_observable": incident.lines_observable,
    }
