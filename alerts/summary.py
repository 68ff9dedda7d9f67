"""The one message of a storm: how many incidents, how bad, the worst by name. Written from its members' latest states.

Nothing in it depends on the moment of writing, so the same states give the same message.
"""

from collections.abc import Sequence

from alerts.message import VALUE_LIMIT, Fact, Machine, Message, Writer
from alerts.settings_base import SEVERITY_ORDER
from alerts.text import cut, one_line
from alerts.told import Told
from monitor.records import Incident, IncidentStatus, Severity
from monitor.store.posts import Post

NAMED = 15  # incidents that are named; all of them stand on the page
TEXT_LIMIT = 2800


def storm_message(writer: Writer, post: Post, members: Sequence[Incident], told: Told) -> Message:
    """`told`: of the summary; its `lines` is the number of incidents when news was last said."""
    living = [i for i in members if i.status is not IncidentStatus.RESOLVED]
    over = not living
    ranked = sorted(living or members, key=_badness)
    named = [_line(writer, i) for i in ranked[:NAMED]]
    if len(ranked) > NAMED:
        named.append(writer.word("storm_more", count=len(ranked) - NAMED))
    down = sum(i.lines_down for i in living)
    counts = {"count": len(members), "living": len(living), "lines_down": down}
    title = writer.word("storm_over" if over else "storm_title", **counts)
    severity = min((i.severity for i in living), key=_rank, default=Severity.CLEARED)
    started_ns = min((i.started_ns for i in members), default=post.created_ns)
    facts = [
        Fact(writer.word("label_status"), writer.word("storm_counts", over=len(members) - len(living), **counts)),
        Fact(writer.word("label_started"), writer.when(started_ns)),
    ]
    if not over:
        facts.insert(1, Fact(writer.word("label_severity"), writer.word(f"severity_{severity}")))
    resolved_ns = max((i.resolved_ns or 0 for i in members), default=0) if over else None
    return Message(
        incident_id=one_line(post.post_id, VALUE_LIMIT),
        revision=post.revision,
        at_ns=max((i.updated_ns for i in members), default=post.created_ns),
        mark="🟢" if over else "🔴",
        title=title,
        text=cut("\n".join(named), TEXT_LIMIT),
        facts=tuple(facts),
        url=writer.page_url,
        open_words=writer.word("open_page"),
        footer=writer.word("why_subscribed"),
        news=_news(writer, members, over, told),
        first=not told.handle,
        over=over,
        machine=Machine(
            kind="storm",
            status=IncidentStatus.RESOLVED if over else IncidentStatus.OPEN,
            severity=severity,
            started_ns=started_ns,
            resolved_ns=resolved_ns,
            lines_down=down,
            lines_affected=sum(i.lines_affected for i in members),
        ),
    )


def _news(writer: Writer, members: Sequence[Incident], over: bool, told: Told) -> tuple[str, ...]:
    if not told.handle:
        return (writer.word("news_opened"),)
    if over:
        return (writer.word("news_storm_over"),) if told.status != IncidentStatus.RESOLVED else ()
    if told.status == IncidentStatus.RESOLVED or len(members) >= 2 * max(1, told.lines):
        return (writer.word("news_storm_grew", count=len(members)),)
    return ()


def tell_storm(told: Told, message: Message, members: Sequence[Incident], handle: dict[str, str], at_ns: int) -> Told:
    return Told(
        handle=handle,
        revision=message.revision,
        at_ns=at_ns,
        status=message.machine.status,
        lines=len(members) if message.news else told.lines,
        digest=message.digest,
    )


def _line(writer: Writer, incident: Incident) -> str:
    kind = writer.word(f"kind_{incident.kind}")
    lines = writer.word("lines_short", lines_down=incident.lines_down)
    return f"• {kind}: {one_line(writer.scope(incident.scope), 100)} · {lines}"


def _rank(severity: Severity) -> int:
    return SEVERITY_ORDER.index(severity) if severity in SEVERITY_ORDER else len(SEVERITY_ORDER)


def _badness(incident: Incident) -> tuple[int, int, str]:
    return _rank(incident.severity), -incident.lines_down, incident.incident_id
