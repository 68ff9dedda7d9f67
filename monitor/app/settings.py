"""The configuration file: one TOML table per part, each part's own struct, nothing unknown accepted.

Relative paths (`file`, `folder`, `*_file`) are relative to the configuration file, not to where the daemon was started.
"""

import re
import tomllib
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from alerts.settings import AlertSettings
from collectors.cpe.settings import CpeSettings
from collectors.dns.settings import DnsSettings
from collectors.icmp.settings import IcmpSettings
from correlation.settings import CorrelationSettings
from monitor.api.settings import ApiSettings
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
    correlation: CorrelationSettings = CorrelationSettings()
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
    return InputProblem(str(path), _line_of(text, parts), ".".join(parts), what)


def _line_of(text: str, parts: list[str]) -> int:
    """The line of a setting (or of the nearest table that holds it), 0 if it cannot be told."""
    best, table = 0, ""
    names = [part for part in parts if not part.isdigit()]
    for number, line in enumerate(text.splitlines(), 1):
        if head := re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line):
            table = head[1].replace(" ", "")
            if names and table.split(".") == names[: table.count(".") + 1]:
                best = number
        elif (
            names
            and re.match(rf'\s*"?{re.escape(names[-1])}"?\s*=', line)
            and (table.split(".") == names[:-1] or (not table and len(names) == 1))
        ):
            return number
    return best
