"""The configuration file: one TOML table per part, each part's own struct, nothing unknown accepted.

Relative paths (`file`, `folder`, `*_file`) are relative to the configuration file, not to where the daemon was started.
"""

import re
import tomllib
from pathlib import Path
from typing import Any, get_args, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from alerts.settings import AlertSettings
from collectors.cpe.settings import CpeSettings
from collectors.dns.settings import DnsSettings
from collectors.icmp.settings import IcmpSettings
from collectors.remote.settings import ProbersSettings
from correlation.settings import CorrelationSettings
from monitor.api.settings import ApiSettings
from monitor.desk import DeskSettings
from monitor.inventory import InputProblem, InputProblems, InventorySettings
from monitor.store.settings import StoreSettings


class DaemonSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`source`: the name of this prober. `zone`: the time zone of the people who are told.

    `step_s`: how often the engine decides at the latest; `snapshot_s`: how often its state is written whole.
    """

    source: str = "default"
    zone: str = "Europe/Berlin"
    log_level: str = "info"
    step_s: float = 1.0
    snapshot_s: float = 300.0

    def __post_init__(self) -> None:
        if self.log_level not in ("debug", "info", "warning", "error"):
            raise ValueError(f"log_level is {self.log_level!r}: give debug, info, warning or error")
        if not self.source:
            raise ValueError("source is empty: name this prober")
        if not 0.05 <= self.step_s <= 60:
            raise ValueError(f"step_s is {self.step_s}: give 0.05 to 60 seconds")
        if not 1 <= self.snapshot_s <= 86400:
            raise ValueError(f"snapshot_s is {self.snapshot_s}: give 1 to 86400 seconds")
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"zone is {self.zone!r}: give a time zone's name, as Europe/Berlin") from None


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    daemon: DaemonSettings = DaemonSettings()
    inventory: InventorySettings = InventorySettings()
    store: StoreSettings = StoreSettings()
    icmp: IcmpSettings = IcmpSettings()
    dns: DnsSettings = DnsSettings()
    cpe: CpeSettings = CpeSettings()
    probers: ProbersSettings = ProbersSettings()
    correlation: CorrelationSettings = CorrelationSettings()
    desk: DeskSettings = DeskSettings()
    alerts: AlertSettings = AlertSettings()
    api: ApiSettings = ApiSettings()


def load_settings(path: Path) -> Settings:
    """The settings in a TOML file. Raises InputProblems that names file, line and setting."""
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except OSError as error:
        raise InputProblems.one(str(path), f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputProblems.one(str(path), "is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"line (\d+)", str(error))
        message = re.sub(r" \(at line.*\)$", "", str(error))
        raise InputProblems.one(str(path), f"is not TOML: {message}", line=int(at[1]) if at else 0) from None
    _anchor(raw, path.resolve().parent)
    try:
        return msgspec.convert(raw, Settings)
    except msgspec.ValidationError as error:
        raise InputProblems([_explain(str(error), path, text)]) from None


def _anchor(table: dict[str, Any], folder: Path) -> None:
    """Make relative paths relative to the configuration file, in place."""
    for key, value in table.items():
        if isinstance(value, dict):
            _anchor(value, folder)
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, dict):
                    _anchor(item, folder)
        elif isinstance(value, str) and value and (key in ("file", "folder") or key.endswith("_file")):
            table[key] = str(folder / Path(value).expanduser())


def _explain(message: str, path: Path, text: str) -> InputProblem:
    """msgspec's message, with the setting's name and the line where it stands."""
    what, _, where = message.partition(" - at `")
    parts = [part for part in re.split(r"[.\[\]]+", where.rstrip("`").removeprefix("$")) if part not in ("", "...")]
    unknown = re.search(r"unknown field `([^`]+)`", what)
    if unknown:
        parts.append(unknown[1])
        what = "is not a setting"
        if re.fullmatch(r"(.*_)?(token|password|secret|key)", unknown[1]):
            what = f"a secret never stands in the file: use {unknown[1]}_file or {unknown[1]}_env"
    elif named := _named(what, parts, text):
        parts.append(named)
    shown = ".".join(part for part in parts if not part.isdigit())
    return InputProblem(str(path), _line_of(text, parts), shown, what)


def _named(what: str, parts: list[str], text: str) -> str:
    """The setting that a struct's own complaint is about: the first of its fields that the words name, one that
    stands in the file before one that does not; "" when the words name none."""
    fields = _fields_at(parts)
    words = [word for word in re.findall(r"[a-z][a-z0-9_]*", what) if word in fields]
    given = [word for word in words if _line_of(text, [*parts, word]) != _line_of(text, parts)]
    return next(iter(given or words), "")


def _fields_at(parts: list[str]) -> frozenset[str]:
    """Names of the settings of the table at this place; empty when there is none."""
    kind: Any = Settings
    for part in (name for name in parts if not name.isdigit()):
        hints = get_type_hints(kind) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else {}
        kind = hints.get(part)
        while inner := [a for a in get_args(kind) if isinstance(a, type) and issubclass(a, msgspec.Struct)]:
            kind = inner[0]
    is_table = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    return frozenset(field.name for field in msgspec.structs.fields(kind)) if is_table else frozenset()


def _line_of(text: str, parts: list[str]) -> int:
    """The line of a setting (or of the nearest table that holds it), 0 if it cannot be told. A number in `parts`
    counts the tables of an array."""
    best, table, seen = 0, "", -1
    names = [part for part in parts if not part.isdigit()]
    wanted = next((int(part) for part in parts if part.isdigit()), None)
    for number, line in enumerate(text.splitlines(), 1):
        if head := re.match(r"\s*\[(\[?)\s*([^\]]+?)\s*\]", line):
            table = head[2].replace(" ", "")
            depth = table.count(".") + 1
            if head[1] and table.split(".") == names[:depth]:
                seen += 1
            if names and table.split(".") == names[:depth] and (wanted is None or not head[1] or seen <= wanted):
                best = number
        elif (
            names
            and re.match(rf'\s*"?{re.escape(names[-1])}"?\s*=', line)
            and (table.split(".") == names[:-1] or (not table and len(names) == 1))
            and (wanted is None or seen in (-1, wanted))
        ):
            return number
    return best
