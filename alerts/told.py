"""What a receiver has been told of an incident, and what is news compared with that.

`Told` travels as the delivery's `reference` in the outbox, so it survives a restart with the message's own handle
(Slack: channel and ts; e-mail: Message-ID). The outbox coalesces revisions; news is therefore the difference between
what was told and what is now, never the list of what happened between.
"""

from collections.abc import Mapping

import msgspec

from monitor.records import Alert, Coded, Incident, IncidentStatus

REOPENED_KEPT = 4
GREW_LINES = 10  # growth of fewer lines is never news of its own


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """`handle` is the receiver's own; empty: never told. `lines`: affected lines when growth was last news.
    `digest`: of the message as it was shown. `group`: the storm's summary that speaks of it, when it has no message of
    its own. `reopened_ns`: when the last few reopenings were told."""

    handle: dict[str, str] = {}
    revision: int = 0
    at_ns: int = 0
    status: str = ""
    scope: str = ""
    lines: int = 0
    acked_by: str = ""
    reopened: int = 0
    etr_ns: int = 0
    recovering_said: bool = False
    digest: str = ""
    group: str = ""
    reopened_ns: tuple[int, ...] = ()

    def encode(self) -> str:
        return msgspec.json.encode(self).decode()


def read_told(reference: str) -> Told:
    """The Told in a delivery's reference; a reference that is not ours counts as never told."""
    if not reference:
        return Told()
    try:
        return msgspec.json.decode(reference.encode(), type=Told)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return Told()


def tell(told: Told, alert: Alert, handle: Mapping[str, str], digest: str, news: tuple[Coded, ...], at_ns: int) -> Told:
    """What stands in the store once `alert` has been told."""
    incident = alert.incident
    codes = {coded.code for coded in news}
    grew = not told.handle or "alert_news_grew" in codes or "alert_news_reopened" in codes
    recovering = incident.status is IncidentStatus.RECOVERING or (
        told.recovering_said and incident.reopened == told.reopened and "alert_news_grew" not in codes
    )
    return Told(
        handle=dict(handle),
        revision=incident.revision,
        at_ns=at_ns,
        status=incident.status,
        scope=incident.scope.name,
        lines=incident.lines_affected if grew else told.lines,
        acked_by=incident.acked_by,
        reopened=incident.reopened,
        etr_ns=_promised_ns(incident),
        recovering_said=recovering,
        digest=digest,
        reopened_ns=(*told.reopened_ns, at_ns)[-REOPENED_KEPT:] if "alert_news_reopened" in codes else told.reopened_ns,
    )


def tell_in_group(told: Told, alert: Alert, digest: str, group: str, at_ns: int) -> Told:
    """What stands in the store once the storm's summary speaks of `alert`."""
    made = tell(told, alert, {}, digest, (), at_ns)
    return msgspec.structs.replace(made, group=group, lines=alert.incident.lines_affected)


def news_of(
    told: Told, alert: Alert, scope_words: str, when: Mapping[str, str], grew_factor: float
) -> tuple[Coded, ...]:
    """What matters in this revision to somebody who was told `told`, most important first; empty: nothing.

    `when` holds the written times "resolved" and "etr"; `scope_words` the scope as people read it.
    """
    now = alert.incident
    if not told.handle:
        return (Coded("alert_news_opened"),)
    news: list[Coded] = []
    over = now.status is IncidentStatus.RESOLVED
    was_over = told.status == IncidentStatus.RESOLVED
    if over and not was_over:
        news.append(_ending(alert, when.get("resolved", "")))
    elif now.reopened > told.reopened or (was_over and not over):
        news.append(Coded("alert_news_reopened", {"lines_down": now.lines_down}))
    if not over:
        if now.scope.name != told.scope:
            news.append(Coded("alert_news_scope", {"scope": scope_words}))
        if now.lines_affected >= told.lines * grew_factor and now.lines_affected - told.lines >= GREW_LINES:
            params = {"lines_affected": now.lines_affected, "lines_before": told.lines}
            news.append(Coded("alert_news_grew", {**params}))
        # Said once: between recovering and open an incident may swing for hours, the message itself shows it.
        if now.status is IncidentStatus.RECOVERING and not told.recovering_said:
            news.append(Coded("alert_news_recovering", {"lines_down": now.lines_down}))
        if _promised_ns(now) != told.etr_ns:
            gone = not _promised_ns(now)
            news.append(Coded("alert_news_etr_gone") if gone else Coded("alert_news_etr", {"at": when.get("etr", "")}))
    if now.acked_by and now.acked_by != told.acked_by:
        news.append(Coded("alert_news_acked", {"by": now.acked_by}))
    return tuple(news)


def _ending(alert: Alert, at: str) -> Coded:
    if alert.what == "withdrawn":
        return Coded("alert_news_withdrawn")
    if alert.what == "merged" and alert.incident.parent_id:
        return Coded("alert_news_merged", {"parent": alert.incident.parent_id})
    return Coded("alert_news_resolved", {"at": at})


def _promised_ns(incident: Incident) -> int:
    return incident.etr.at_ns if incident.etr is not None and incident.etr.source == "noc" else 0
