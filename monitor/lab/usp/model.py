"""The data model of a simulated agent: tables that a controller may write, beside what the device measures.

`device()` gives the measured parameters as full path -> text, made anew for each question. Paths may be full, partial
(ending in ".") or hold `*` for instances. Error codes are those of TR-369.
"""

import re
from collections.abc import Callable

NO_OBJECT, NO_PARAMETER, BAD_VALUE, READ_ONLY, BAD_PATH, NOT_A_TABLE = 7016, 7010, 7012, 7013, 7026, 7018
DUPLICATE = 7025
ROWS: dict[str, dict[str, str]] = {
    "Device.LocalAgent.Subscription.": {
        "Alias": "", "Enable": "false", "ID": "", "NotifType": "", "ReferenceList": "", "Persistent": "false",
        "NotifRetry": "false", "NotifExpiration": "0", "TimeToLive": "0",
    },
    "Device.BulkData.Profile.": {
        "Alias": "", "Name": "", "Enable": "false", "Protocol": "", "EncodingType": "", "ReportingInterval": "86400",
        "JSONEncoding.ReportFormat": "ObjectHierarchy", "JSONEncoding.ReportTimestamp": "Unix-Epoch",
        "MQTT.Reference": "", "MQTT.PublishTopic": "", "MQTT.PublishQoS": "0",
    },
}  # fmt: skip
UNIQUE = {"Device.LocalAgent.Subscription.": "ID", "Device.BulkData.Profile.": "Alias"}
PARAMETER_ROW = {"Name": "", "Reference": "", "Exclude": "false"}
PASSPHRASE = "Security.KeyPassphrase"


class Wrong(Exception):
    """`code`: an error code of USP."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def matcher(path: str) -> "re.Pattern[str]":
    """What a requested path matches: itself, or all below it when it ends with "."."""
    pattern = re.escape(path).replace(r"\*", r"[0-9]+")
    return re.compile(pattern + (".*" if path.endswith(".") else "$"))


class Model:
    def __init__(self, device: Callable[[], dict[str, str]], controller: str) -> None:
        self._device = device
        self._controller = controller
        self.rows: dict[str, dict[str, str]] = {}
        self._next: dict[str, int] = {}
        self.passphrase = "correct horse battery"
        self.reset()

    def reset(self) -> None:
        """As it leaves the factory: the controller is known, all else is gone."""
        self._next.clear()
        self.rows = {
            "Device.LocalAgent.Controller.1.": {
                "EndpointID": self._controller, "Enable": "true", "PeriodicNotifInterval": "86400",
            }
        }  # fmt: skip
        self.passphrase = "correct horse battery"

    def parameters(self) -> dict[str, str]:
        found = self._device()
        found["Device.WiFi.AccessPoint.1." + PASSPHRASE] = self.passphrase
        for path, row in self.rows.items():
            for name, value in row.items():
                found[path + name] = value
        return found

    def get(self, path: str) -> dict[str, dict[str, str]]:
        """object path -> its parameters. Raises Wrong(7026) for a path that is not supported."""
        wanted = matcher(path)
        objects: dict[str, dict[str, str]] = {}
        for full, value in self.parameters().items():
            if wanted.match(full):
                parent, _, name = full.rpartition(".")
                objects.setdefault(parent + ".", {})[name] = value
        if not objects and not self._table_known(path):
            raise Wrong(BAD_PATH, f"{path} is not supported")
        return objects

    def set(self, path: str, values: dict[str, str]) -> dict[str, dict[str, str]]:
        """affected object -> what was updated. Raises Wrong; then nothing has changed."""
        if path == "Device.WiFi.AccessPoint.1.Security." and set(values) == {"KeyPassphrase"}:
            if not 8 <= len(values["KeyPassphrase"]) <= 63:
                raise Wrong(BAD_VALUE, "KeyPassphrase must be 8..63 characters")
            self.passphrase = values["KeyPassphrase"]
            return {path: values}
        wanted = re.compile(re.escape(path).replace(r"\*", "[0-9]+"))
        found: dict[str, tuple[str, str]] = {}  # object -> (row, prefix within the row)
        for row, content in self.rows.items():
            for name in content:
                parent = (row + name).rpartition(".")[0] + "."
                if wanted.fullmatch(parent):
                    found[parent] = row, parent[len(row) :]
        if not found:
            known = any(full.startswith(path) for full in self._device())
            raise Wrong(READ_ONLY if known else NO_OBJECT, f"{path} cannot be written")
        for row, prefix in found.values():
            for name in values:
                if prefix + name not in self.rows[row]:
                    raise Wrong(NO_PARAMETER, f"{name} is not supported")
        for row, prefix in found.values():
            self.rows[row].update({prefix + name: value for name, value in values.items()})
        return dict.fromkeys(found, values)

    def add(self, path: str, values: dict[str, str]) -> tuple[str, list[tuple[str, int, str]]]:
        """(path of the new row, parameters refused). Raises Wrong when no row can be made."""
        template = ROWS.get(path)
        if template is None and re.fullmatch(r"Device\.BulkData\.Profile\.[0-9]+\.Parameter\.", path):
            if path.removesuffix("Parameter.") not in self.rows:
                raise Wrong(NO_OBJECT, f"{path} does not exist")
            template = PARAMETER_ROW
        if template is None:
            raise Wrong(NOT_A_TABLE, f"{path} is not a table that can be added to")
        key = UNIQUE.get(path)
        rows = [row for name, row in self.rows.items() if name.startswith(path)]
        if key and values.get(key) and any(row.get(key) == values[key] for row in rows):
            raise Wrong(DUPLICATE, f"{path} has a row with {key} {values[key]}")
        refused = [(name, NO_PARAMETER, f"{name} is not supported") for name in values if name not in template]
        self._next[path] = self._next.get(path, 0) + 1
        row = f"{path}{self._next[path]}."
        self.rows[row] = {**template, **{name: value for name, value in values.items() if name in template}}
        return row, refused

    def delete(self, path: str) -> list[str]:
        """The rows that are gone, with what was below them. Raises Wrong(7016)."""
        wanted = re.compile(re.escape(path).replace(r"\*", "[0-9]+"))
        gone = [row for row in self.rows if wanted.match(row) and not row.startswith("Device.LocalAgent.Controller.")]
        if not gone:
            raise Wrong(NO_OBJECT, f"{path} does not exist")
        for row in gone:
            del self.rows[row]
        return gone

    def supported(self, path: str) -> dict[str, list[str]]:
        """generic object -> names of its parameters, below `path`. Raises Wrong(7026)."""
        objects: dict[str, list[str]] = {}
        for full in [*self.parameters(), *(table + "1." + name for table, row in ROWS.items() for name in row)]:
            generic = re.sub(r"\.[0-9]+(?=\.)", ".{i}", full)
            if full.startswith(path) or generic.startswith(path):
                parent, _, name = generic.rpartition(".")
                names = objects.setdefault(parent + ".", [])
                if name not in names:
                    names.append(name)
        if not objects:
            raise Wrong(BAD_PATH, f"{path} is not supported")
        return objects

    def _table_known(self, path: str) -> bool:
        generic = re.sub(r"\.([0-9]+|\*)(?=\.)", ".1", path)
        known = [table + "1." + name for table, row in ROWS.items() for name in row]
        return any(full.startswith((path, generic)) for full in known)
