"""flags.jsonl of a replay: the documented keys, and flags that end when the line is well, across an hour of nothing."""

import json
from pathlib import Path

import numpy as np

from monitor.clock import parse_time
from monitor.lab.replay.run import replay

START_S = 1_790_000_000
KEYS = ["subject", "kind", "reason", "value", "unit", "started_at", "detected_at", "ended_at"]


def test_flags_are_written_as_documented_and_end(tmp_path: Path) -> None:
    """One line of 40 is slow for an hour, one loses a third to the end; between them nobody probes for an hour. The
    first flag ends, the second stays open, and the gap makes no flag."""
    rng = np.random.default_rng(1)
    inventory = tmp_path / "inventory.csv"
    names = [f"L{n:02d}" for n in range(40)]
    inventory.write_text("line_id,path\n" + "".join(f"{name},north/ex-1/olt-1/pon-1\n" for name in names))
    rows = ["at,line_id,sent,received,rtt_ms"]
    for minute in [*range(240), *range(300, 480)]:
        for n, name in enumerate(names):
            slow = 60 if n == 7 and 90 <= minute < 150 else 0
            lost = n == 9 and minute >= 320 and rng.random() < 0.35
            rtt = "" if lost else f"{12 + slow + rng.gamma(1, 0.3):.2f}"
            rows.append(f"{START_S + minute * 60 + n},{name},1,{0 if lost else 1},{rtt}")
    observations = tmp_path / "observations.csv"
    observations.write_text("\n".join(rows) + "\n")
    flags = tmp_path / "flags.jsonl"
    done = replay(inventory, observations, None, tmp_path / "incidents.jsonl", flags, 60.0)
    made = [json.loads(line) for line in flags.read_text().splitlines()]
    assert done.flags == len(made) == 2
    assert [list(flag) for flag in made] == [KEYS, KEYS]
    slow_one, lossy = made
    assert (slow_one["subject"], slow_one["kind"], slow_one["unit"]) == ("L07", "slow", "ms")
    assert 40 < slow_one["value"] < 70  # smoothed, as it stood when it was flagged
    began, known, ended = (parse_time(slow_one[k]) / 1e9 - START_S for k in ("started_at", "detected_at", "ended_at"))
    assert abs(began - 90 * 60) <= 120
    assert began < known <= 100 * 60
    assert 150 * 60 < ended < 180 * 60
    assert (lossy["subject"], lossy["kind"], lossy["reason"], lossy["unit"]) == ("L09", "unstable", "loss", "ratio")
    assert lossy["ended_at"] is None
    assert 320 * 60 <= parse_time(lossy["detected_at"]) / 1e9 - START_S <= 350 * 60
