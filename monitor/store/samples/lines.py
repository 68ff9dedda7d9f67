"""InfluxDB line protocol, ten thousand points at a time: names escaped once, one big template, one pass of %.

Line protocol has no way to write a line break in a tag, nor a backslash at its end: a line break becomes a backslash
and an n, a final backslash gets a space after it, in what is written as in what is asked for (`tag_text`). NaN and
infinite values are left out. Times are milliseconds.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from monitor.clock import NS
from monitor.inventory import Inventory, StringColumn
from monitor.records import Change, Flag, IncidentStatus, LineValues, ProbeRound, ValueKind
from monitor.records.rounds import F32
from monitor.store.samples.base import LEVELS, MS, Field
from monitor.store.samples.rollup import FIELDS, Figures

CACHED_LINES = 200_000  # 70 bytes each
MAX_TAG_BYTES = 60_000  # InfluxDB refuses keys of 64 KB
_special = re.compile(rb"[,= \\\n\r\x00]")
_tag = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ "})
_measurement = str.maketrans({",": "\\,", " ": "\\ "})
_text = str.maketrans({'"': '\\"', "\\": "\\\\", "\x00": ""})
_DECIMALS = tuple(f".{i:03d}" for i in range(1000))
Lines = list[str]


def tag_text(text: str) -> str:
    """The text as it is stored in a tag, before escaping; "" cannot be stored and stands for no tag."""
    text = text.replace("\n", "\\n").replace("\r", "\\r").replace("\x00", "")
    if len(text.encode(errors="replace")) > MAX_TAG_BYTES:
        text = text.encode(errors="replace")[:MAX_TAG_BYTES].decode(errors="ignore")
    return text + " " if text.endswith("\\") else text


def from_tag(text: str) -> str:
    """The name that `tag_text` made a tag of, as far as that can be told."""
    return text[:-1] if text.endswith("\\ ") else text


def escape_tag(text: str) -> str:
    return tag_text(text).translate(_tag)


def point(at_ns: int, name: str, tags: Mapping[str, str], fields: Mapping[str, Field]) -> str:
    """One point; "" when none of its fields has a value that can be written."""
    written = ",".join(f"{escape_tag(k)}={text}" for k, v in fields.items() if (text := _field(v)))
    if not written:
        return ""
    labels = "".join(f",{escape_tag(k)}={escape_tag(v)}" for k, v in sorted(tags.items()) if v)
    return f"{tag_text(name).translate(_measurement)}{labels} {written} {at_ns // MS}"


def _field(value: Field) -> str:
    if isinstance(value, str):
        return f'"{value.translate(_text)}"'
    if isinstance(value, bool | int | np.integer):
        return f"{int(value)}i" if abs(int(value)) < 2**63 else ""
    number = float(value)
    return repr(number) if np.isfinite(number) else ""


class LineTags:
    """The line_ids of an inventory, ready to be written into a tag."""

    def __init__(self, inventory: Inventory) -> None:
        column = inventory.line_ids
        if _special.search(column.blob):
            column = StringColumn.of(escape_tag(text) for text in column)
        self._column = column
        # Decoding them again for every round costs more than all the rest; beyond, the memory would hurt more.
        self._texts = column.many(np.arange(len(column))) if len(column) <= CACHED_LINES else None

    def many(self, rows: npt.NDArray[np.integer]) -> Sequence[str]:
        if self._texts is None:
            return self._column.many(rows)
        return _pick(self._texts, rows)


def probe_lines(item: ProbeRound, measurement: str, tag: str, names: Sequence[str], size: int) -> Iterator[Lines]:
    """Points of a round, at most `size` at a time. `names`: the escaped tag of each row; rows with sent 0 are none."""
    optional = {
        "rtt_ms": item.rtt_ms,
        "rtt_min_ms": item.rtt_min_ms,
        "rtt_max_ms": item.rtt_max_ms,
        "jitter_ms": item.jitter_ms,
    }
    known = item.sent > 0
    given = {n: c for n, c in optional.items() if c is not None}
    # Rows are grouped by which of the optional fields they have: each group has one template.
    pattern = np.zeros(len(item), np.uint8)
    for bit, column in enumerate(given.values()):
        pattern |= (np.isfinite(column) & (column >= 0)).astype(np.uint8) << bit
    # Few counts occur: their text is made once for each pair, not for each row.
    pairs, which = np.unique(item.sent.astype(np.uint32) << 16 | item.received, return_inverse=True)
    counts = [f"sent={pair >> 16}i,received={pair & 0xFFFF}i" for pair in pairs.tolist()]
    source = f",source={escape_tag(item.source)}" if item.source else ""
    for one in np.unique(pattern[known]).tolist():
        fields = [n for bit, n in enumerate(given) if one >> bit & 1]
        text = "".join(f",{name}=%d%s" for name in fields)
        template = f"{measurement},{tag}=%s{source.replace('%', '%%')} %s{text} %d\n"
        rows = np.flatnonzero(known & (pattern == one))
        for low in range(0, len(rows), size):
            part = rows[low : low + size]
            columns: list[Sequence[object]] = [_pick(names, part), _pick(counts, which[part])]
            for name in fields:
                columns += _thousandths(given[name][part])
            columns.append((item.at_ns[part] // MS).tolist())
            yield _fill(template, columns, len(part))


def value_lines(item: LineValues, tags: LineTags, size: int) -> Iterator[Lines]:
    """Points of measurement cpe, one field each."""
    source = f",source={escape_tag(item.source)}" if item.source else ""
    good = np.isfinite(item.value)
    for kind in np.unique(item.kind[good]).tolist():
        template = f"cpe,line_id=%s{source.replace('%', '%%')} {value_field(kind)}=%s %d\n"
        rows = np.flatnonzero(good & (item.kind == kind))
        for low in range(0, len(rows), size):
            part = rows[low : low + size]
            # The shortest text that is the same float32.
            texts = [np.format_float_positional(v, trim="0") for v in item.value[part]]
            at = (item.at_ns[part] // MS).tolist()
            yield _fill(template, [tags.many(item.line[part]), texts, at], len(part))


def value_field(kind: int) -> str:
    """The field's name; a kind that this version does not know keeps its number."""
    return ValueKind(kind).name.lower() if kind in ValueKind._value2member_map_ else f"kind_{kind}"


def _thousandths(column: F32) -> list[Sequence[object]]:
    """Numbers with three decimals as two columns, for "%d%s": twice as fast as "%.3f"."""
    whole, rest = np.divmod(np.round(column.astype(np.float64) * 1000).astype(np.int64), 1000)
    return [whole.tolist(), _pick(_DECIMALS, rest)]


def _pick(texts: Sequence[str], rows: npt.NDArray[np.integer]) -> Sequence[str]:
    return itemgetter(*rows.tolist())(texts) if len(rows) > 1 else [texts[i] for i in rows.tolist()]


def _fill(template: str, columns: Sequence[Sequence[object]], count: int) -> Lines:
    flat = tuple(chain.from_iterable(zip(*columns, strict=True)))
    return [(template * count) % flat]


def rollup_lines(step: str, at_ns: int, figures: Figures) -> Lines:
    """A point per element of one level, as one text."""
    out = []
    depth = LEVELS.index(figures.level)
    for name, row in zip(figures.names, figures.values.tolist(), strict=True):
        parts = name.split("/")
        tags = {LEVELS[i]: "/".join(parts[:i]) for i in range(1, depth + 1)} if depth else {"scope": "all"}
        out.append(point(at_ns, f"{figures.level}_{step}", tags, dict(zip(FIELDS, row, strict=True))))
    return ["\n".join(out) + "\n"] if out else []


def change_lines(change: Change) -> Lines:
    """For annotations: an incident as it is now, the lines that joined it, a flag; none for what is only suspected."""
    if change.flag is not None:
        return [_flag_line(change.at_ns, change.what, change.flag)]
    incident = change.incident
    if incident is None or incident.status is IncidentStatus.SUSPECTED:
        return []
    tags = {
        "incident_id": incident.incident_id,  # a tag: two incidents of a kind may change at the same moment
        "kind": incident.kind.value,
        "what": change.what,
        "severity": incident.severity.value,
        "scope_kind": incident.scope.kind.value,
    }
    fields: dict[str, Field] = {
        "scope_name": incident.scope.name,
        "cause": incident.cause,
        "status": incident.status.value,
        "lines_affected": incident.lines_affected,
        "lines_down": incident.lines_down,
        "lines_at_risk": incident.lines_at_risk,
        "confidence": float(incident.confidence),
        "detect_s": (incident.detected_ns - incident.started_ns) / NS,
    }
    return [point(change.at_ns, "incident", tags, fields), *joined_lines(change)]


def joined_lines(change: Change) -> Lines:
    """A point for each line that joined the incident with this change."""
    incident = change.incident
    if incident is None:
        return []
    fields: dict[str, Field] = {"scope_name": incident.scope.name, "what": change.what}
    labels = {"incident_id": incident.incident_id}
    return [point(change.at_ns, "line_incident", {"line_id": line, **labels}, fields) for line in change.lines_added]


def _flag_line(at_ns: int, what: str, flag: Flag) -> str:
    fields: dict[str, Field] = {"reason": flag.reason, "value": float(flag.value), "unit": flag.unit}
    return point(at_ns, "flag", {"subject": flag.subject, "kind": flag.kind.value, "what": what}, fields)
