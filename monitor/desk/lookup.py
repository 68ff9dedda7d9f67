"""From what a caller says to a verdict: key -> the lines it names -> one verdict, or candidates to choose from.

Everything comes from memory. Several matches never give somebody's data: only masked hints, and the line ids to pick
one by. A key that is an IP address asks the bindings of now, since addresses are leases.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from correlation.verdict import NOT_ASKED, AtHome, judge, unclear
from correlation.view import EngineView
from monitor.desk.masking import initials, masked_id, masked_street
from monitor.inventory import Bindings, Inventory, Match, MatchedBy, Observability
from monitor.inventory.address import parse_address
from monitor.records import Verdict

MAX_CANDIDATES = 20
IDS = frozenset({MatchedBy.LINE_ID, MatchedBy.CUSTOMER_ID, MatchedBy.CPE_SERIAL, MatchedBy.CPE_ENDPOINT})


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of several matches: enough to ask the caller, too little to tell who it is."""

    line_id: str
    name_hint: str
    customer_hint: str
    street_hint: str
    city: str
    technology: str


@dataclass(frozen=True, slots=True)
class Answer:
    """`row` is the line judged, None when the key names none or several; `matches` counts all, also beyond the
    candidates listed."""

    verdict: Verdict
    row: int | None
    matched_by: MatchedBy | None
    matches: int
    candidates: tuple[Candidate, ...] = ()


def find_lines(key: str, inventory: Inventory, bindings: Bindings) -> list[Match]:
    """Every line that `key` names. An IP address names the lines that claim it now."""
    key = key.strip()
    if parse_address(key) is not None:
        if bindings.inventory.generation != inventory.generation:
            return []
        return [Match(row, MatchedBy.ADDRESS) for row in bindings.claimants(key)]
    return inventory.find(key)


def judge_line(
    row: int,
    view: EngineView,
    inventory: Inventory,
    bindings: Bindings,
    now_ns: int,
    at_home: AtHome = NOT_ASKED,
) -> Verdict:
    """The verdict for one row of `inventory`."""
    same = bindings.inventory.generation == inventory.generation
    # While a reload is under way nothing is known of the line's address: not measurable, for a moment.
    reason = bindings.reason_of(row) if same else Observability.NO_ADDRESS
    return judge(view, inventory, row, now_ns, reason, at_home)


def look_up(
    key: str,
    view: EngineView,
    inventory: Inventory,
    bindings: Bindings,
    now_ns: int,
    allowed: Collection[MatchedBy] | None = None,
    visible: Callable[[int], bool] | None = None,
    at_home: AtHome = NOT_ASKED,
) -> Answer:
    """The answer to one key. `allowed`: the kinds of key that may be used (None: all). `visible`: which rows may be
    seen (None: all); the others are as if they did not exist."""
    matches = find_lines(key, inventory, bindings)
    if allowed is not None:
        matches = [match for match in matches if match.by in allowed]
    if visible is not None:
        matches = [match for match in matches if visible(match.row)]
    if len(matches) != 1:
        listed = tuple(_candidate(inventory, match.row) for match in matches[:MAX_CANDIDATES])
        by = matches[0].by if matches else None
        return Answer(unclear(now_ns, len(matches)), None, by, len(matches), listed)
    row, by = matches[0]
    return Answer(judge_line(row, view, inventory, bindings, now_ns, at_home), row, by, 1)


def _candidate(inventory: Inventory, row: int) -> Candidate:
    texts = inventory.texts
    return Candidate(
        line_id=inventory.line_id(row),
        name_hint=initials(texts["name"][row]),
        customer_hint=masked_id(texts["customer_id"][row]),
        street_hint=masked_street(texts["street"][row]),
        city=texts["city"][row],
        technology=texts["technology"][row],
    )
