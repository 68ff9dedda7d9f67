"""TR-181 BulkData reports: `{"Report": [{"CollectionTime": t, ...}]}`, over MQTT or inside a Push! event.

Both formats: NameValuePair (full paths as keys) and ObjectHierarchy (nested objects, instance numbers as keys). A
report names no device: whose it is the topic or the record has said. Out: one `Report` per entry, oldest first.
"""

from collections.abc import Iterator
from typing import Any

from collectors.cpe.normal import Refused, Report, decode_json, time_of
from collectors.cpe.tr181 import read_parameters

MAX_DEPTH = 16
MAX_PARAMETERS = 4096
MAX_REPORTS = 64  # what a router kept while it could not send


def is_bulk(content: object) -> bool:
    return isinstance(content, dict) and isinstance(content.get("Report"), list)


def parse_bulk(payload: bytes) -> list[Report]:
    """Raises Refused: "not_json", "too_deep", "not_a_report", "too_many_fields"."""
    content = decode_json(payload)
    if not is_bulk(content):
        raise Refused("not_a_report")
    return read_bulk(content)


def read_bulk(content: dict[str, Any]) -> list[Report]:
    """As parse_bulk, of JSON that is decoded already."""
    entries = content["Report"]
    if len(entries) > MAX_REPORTS:
        raise Refused("too_many_fields")
    reports = []
    for entry in entries:
        if not isinstance(entry, dict):
            raise Refused("not_a_report")
        report = Report.empty(time_of(entry))
        read_parameters(_flat(entry), report)
        reports.append(report)
    reports.sort(key=lambda report: report.at_ns or 0)
    return reports


def _flat(entry: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(full path, value) of every parameter, whichever the format."""
    count = 0
    waiting: list[tuple[str, dict[str, Any], int]] = [("", entry, 1)]
    while waiting:
        prefix, content, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise Refused("too_deep")
        for key, value in content.items():
            if isinstance(value, dict):
                waiting.append((f"{prefix}{key.rstrip('.')}.", value, depth + 1))
                continue
            count += 1
            if count > MAX_PARAMETERS:
                raise Refused("too_many_fields")
            yield prefix + key, value
