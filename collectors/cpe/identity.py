"""From the model and version that a router says to the groups of its line: `cpe:MODEL`, `firmware:MODEL-VERSION`.

The inventory's spelling of a model is kept where the router's differs in case and spaces only, so that lines whose
routers are silent stay in the same group. A router that gives itself another name again and again is not believed.
"""

import numpy as np

from monitor.inventory import Inventory

MAX_NAME = 64
PER_DAY = 8  # changes of model and version of one router that are believed
DAY_NS = 86400 * 1_000_000_000


class Identities:
    """For one inventory. `told` is asked once for each change that a router tells."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._changes = np.zeros(len(inventory), np.uint8)
        self._day = 0

    def believed(self, line: int, now_ns: int) -> bool:
        """Count one change of what a router says it is; False when it has said too many things today."""
        day = now_ns // DAY_NS
        if day != self._day:
            self._day = day
            self._changes.fill(0)
        if self._changes[line] >= PER_DAY:
            return False
        self._changes[line] += 1
        return True

    def groups(self, line: int, model: str, version: str) -> list[str]:
        """KIND:NAME of the groups that the line is in by this and was not in until now. "" is: never said."""
        groups = self._inventory.groups
        filed, cpe, firmware = self._inventory.texts["cpe_model"][line], "", ""
        for group in groups.groups_of(line).tolist():
            kind = groups.kinds[group]
            if kind == "cpe":
                cpe = groups.names[group]
            elif kind == "firmware":
                firmware = groups.names[group]
        named = cpe or filed
        if model and _plain(model) != _plain(named):
            named = filed if _plain(model) == _plain(filed) else model
        wanted = []
        if named and named != cpe:
            wanted.append(f"cpe:{named}")
        if named and version and f"{named}-{version}" != firmware:
            wanted.append(f"firmware:{named}-{version}")
        elif named != cpe and firmware and not version:
            wanted.append("firmware:")  # another model: the version of the one in the file says nothing of it
        return wanted


def _plain(model: str) -> str:
    return "".join(model.split()).casefold()
