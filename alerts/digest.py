"""Slow and unstable lines, ranked, once a day for each team: nobody is paged for them.

`Ranking` is all the digest needs to know; `FlagRanking` makes one of the flags in the store: by how long a line was
conspicuous within the window, then by how bad. With a list of the lines most likely to call, segments come first, then
the lines of that list in its order, then the rest. Lines under a segment that is slow as a whole are that segment's.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from alerts.message import Fact, Machine, Message, Writer
from alerts.settings import TeamSettings
from alerts.settings_routes import scope_matches
from alerts.text import one_line
from monitor.clock import NS
from monitor.inventory import Inventory
from monitor.records import Flag, FlagKind, Scope, ScopeKind
from monitor.store.state import StateStore

WINDOW_S = 86400.0


class RankedLine(msgspec.Struct, frozen=True):
    """`subject`: line_id or `element:PATH`; `path`: where it is, the line_id last. `value` in `unit` of its worst flag.
    `conspicuous_s`: how long within the window. `ongoing`: it is so still."""

    subject: str
    path: str
    kind: FlagKind
    value: float
    unit: str
    conspicuous_s: float
    ongoing: bool


class Ranking(Protocol):
    def worst_first(self, since_ns: int, now_ns: int) -> Sequence[RankedLine]:
        """Every line and segment that was not well in that time."""
        ...


class FlagRanking:
    """`places`: line_id -> place on the list of lines most likely to call, 1 is first; empty: there is none."""

    def __init__(
        self,
        store: StateStore,
        inventory: Callable[[], Inventory],
        places: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._store = store
        self._inventory = inventory
        self._places = places

    def worst_first(self, since_ns: int, now_ns: int) -> list[RankedLine]:
        inventory = self._inventory()
        by_subject: dict[str, list[Flag]] = {}
        for flag in self._store.flags(open_only=False, since_ns=since_ns, limit=100_000):
            if flag.started_ns <= now_ns:
                by_subject.setdefault(flag.subject, []).append(flag)
        slow_segments = {
            subject.removeprefix("element:")
            for subject, flags in by_subject.items()
            if any(flag.kind is FlagKind.SEGMENT_SLOW for flag in flags)
        }
        ranked = []
        for subject, flags in by_subject.items():
            path = _path(inventory, subject)
            if path is None or (not subject.startswith("element:") and _under(path, slow_segments)):
                continue
            spent_s = sum(_within_s(flag, since_ns, now_ns) for flag in flags)
            worst = max(flags, key=lambda flag: (_within_s(flag, since_ns, now_ns), flag.value))
            ongoing = any(flag.ended_ns is None for flag in flags)
            spent_s = min(spent_s, (now_ns - since_ns) / NS)
            ranked.append(RankedLine(subject, path, worst.kind, worst.value, worst.unit, spent_s, ongoing))
        ranked.sort(key=lambda r: (-r.conspicuous_s, -r.value, r.subject))
        if places := self._places():
            last = len(places) + 1
            ranked.sort(key=lambda r: 0 if r.subject.startswith("element:") else places.get(r.subject, last))
        return ranked


def for_teams(ranked: Sequence[RankedLine], teams: Sequence[TeamSettings]) -> dict[str, list[RankedLine]]:
    """To each the lines it looks after (the first team that matches); "" has the rest."""
    found: dict[str, list[RankedLine]] = {}
    for line in ranked:
        scope = Scope(ScopeKind.ELEMENT, line.path)
        mine = (team.name for team in teams if any(scope_matches(pattern, scope) for pattern in team.scopes))
        found.setdefault(next(mine, ""), []).append(line)
    return found


def digest_message(
    writer: Writer, post_id: str, team: str, lines: Sequence[RankedLine], most: int, now_ns: int
) -> Message:
    shown = lines[:most]
    facts = [Fact(writer.word("label_at"), writer.when(now_ns))]
    if team:
        facts.append(Fact(writer.word("label_team"), team))
    for line in shown:
        name = line.subject.removeprefix("element:")
        figure = f"{line.value:.3g} {line.unit}".strip()
        words = writer.word(
            "digest_line",
            what=writer.word(f"flag_{line.kind}"),
            figure=one_line(figure, 40),
            hours=f"{line.conspicuous_s / 3600:.1f}",
            now=writer.word("digest_now" if line.ongoing else "digest_past"),
        )
        facts.append(Fact(one_line(name, 120), words))
    return Message(
        incident_id=post_id,
        revision=1,
        at_ns=now_ns,
        mark="🔵",
        title=writer.word("digest_title", count=len(lines)),
        text=writer.word("digest_text", shown=len(shown), count=len(lines)),
        facts=tuple(facts),
        url=writer.page_url,
        open_words=writer.word("open_page"),
        footer=writer.word("why_subscribed"),
        news=(writer.word("digest_title", count=len(lines)),),
        first=True,
        over=True,
        machine=Machine("digest", "open", started_ns=now_ns),
    )


def _path(inventory: Inventory, subject: str) -> str | None:
    if subject.startswith("element:"):
        return subject.removeprefix("element:")
    row = inventory.index_of(subject)
    return f"{inventory.elements.paths[inventory.leaf[row]]}/{subject}" if row is not None else None


def _under(path: str, segments: set[str]) -> bool:
    while path:
        path = path.rpartition("/")[0]
        if path in segments:
            return True
    return False


def _within_s(flag: Flag, since_ns: int, now_ns: int) -> float:
    end_ns = now_ns if flag.ended_ns is None else min(flag.ended_ns, now_ns)
    return max(0, end_ns - max(flag.started_ns, since_ns)) / NS
