"""How much may be asked at once: a budget for all, a cap per access node and per BNG.

Token buckets in probes: each fills at its rate and holds two seconds of it. Twenty thousand probes at once meet a
policer and look like an outage; what is not admitted is not asked, is counted by the cap that refused it, and is no
evidence. A lookup by a person is never refused, but is charged.
"""

from collections import Counter

import numpy as np
import numpy.typing as npt

from collectors.icmp.settings import IcmpSettings
from collectors.icmp.targets import Targets, rank_in_group
from monitor.records.rounds import I32

BURST_S = 2.0
LOOKUP_MAX = 256  # targets of one lookup


class Budget:
    def __init__(self, settings: IcmpSettings, now_ns: int) -> None:
        self._rates = (settings.confirm_node_pps, settings.confirm_bng_pps, settings.confirm_pps)
        self._levels: list[npt.NDArray[np.float64]] = []
        self._filled_ns = now_ns
        self.use(0, 0)

    def use(self, nodes: int, bngs: int) -> None:
        """The inventory was replaced: so many elements and groups, every bucket full."""
        self._levels = [np.full(n, rate * BURST_S) for n, rate in zip((nodes, bngs, 1), self._rates, strict=True)]

    def admit(
        self, targets: Targets, positions: I32, count: int, lookup: bool, now_ns: int
    ) -> tuple[I32, Counter[str]]:
        """Which of these positions may be probed `count` times each now, in their order; and how many were refused by
        `node`, `bng` or `total`."""
        passed_s = max(0, now_ns - self._filled_ns) / 1e9
        self._filled_ns = max(self._filled_ns, now_ns)
        for level, rate in zip(self._levels, self._rates, strict=True):
            np.minimum(level + passed_s * rate, rate * BURST_S, out=level)
        refused: Counter[str] = Counter()
        if lookup:
            positions = positions[:LOOKUP_MAX]
        groups = (targets.node, targets.bng, np.zeros(len(targets), np.int32))
        if not lookup:
            for name, level, group in zip(("node", "bng", "total"), self._levels, groups, strict=True):
                mine = group[positions]
                room = np.where(mine >= 0, level[mine] if len(level) else np.inf, np.inf)
                fits = (rank_in_group(mine) + 1) * count <= room
                refused[name] += int((~fits).sum())
                positions = positions[fits]
        for level, group in zip(self._levels, groups, strict=True):
            mine = group[positions]
            np.subtract.at(level, mine[mine >= 0], count)
        return positions, +refused
