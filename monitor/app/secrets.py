"""Every secret and certificate that the settings name, read once before anything is started.

A key file that is missing or belongs to somebody else stops the start with one line, not the first delivery an hour
later. What is read here is thrown away; each part reads its own again when it is built.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from monitor.app.settings import Settings
from monitor.secret import SecretProblem, read_secret

# Files that other checks read and explain better.
ELSEWHERE = frozenset({"inventory.file", "inventory.elements_file"})


def problems(settings: Settings, prober: str = "") -> list[str]:
    """What is wrong with the secrets and files of the parts that are enabled, each naming its setting.

    A prober on another machine (`prober`) uses those of [probers] alone, and the daemon does not use these.
    """
    found = []
    for section, part in _parts(settings):
        if (section == "probers") is not bool(prober):
            continue
        names = {field.name for field in msgspec.structs.fields(part)}
        for name in sorted(names):
            try:
                base = name.removesuffix("_file")
                if name.endswith("_file") and f"{base}_env" in names:
                    read_secret(part, base, section)
                elif name.endswith("_file") and f"{section}.{name}" not in ELSEWHERE and getattr(part, name):
                    _readable(f"{section}.{name}", Path(getattr(part, name)))
            except SecretProblem as error:
                found.append(str(error))
    return found


def require(settings: Settings, prober: str = "") -> None:
    """Raises SecretProblem with the first of `problems`."""
    if found := problems(settings, prober):
        raise SecretProblem(found[0] + (f" (and {len(found) - 1} more: faultline check)" if found[1:] else ""))


def _parts(settings: Settings) -> Iterator[tuple[str, msgspec.Struct]]:
    """Every table that is in use, with its name in the file."""
    waiting: list[tuple[str, msgspec.Struct]] = [("", settings)]
    while waiting:
        prefix, part = waiting.pop()
        if not getattr(part, "enabled", True) or (prefix == "store.influxdb" and settings.store.engine != "influxdb"):
            continue
        if prefix:
            yield prefix, part
        for field in msgspec.structs.fields(part):
            value = getattr(part, field.name)
            if isinstance(value, msgspec.Struct):
                waiting.append((f"{prefix}.{field.name}".lstrip("."), value))


def _readable(name: str, file: Path) -> None:
    try:
        with file.open("rb") as opened:
            if not opened.read(1):
                raise SecretProblem(f"{name}: {file} is empty")
    except OSError as error:
        raise SecretProblem(f"{name}: {file} cannot be read ({error.strerror or error})") from None
