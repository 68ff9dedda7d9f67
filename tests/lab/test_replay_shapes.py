"""Replay of the same recording in other shapes: as text, packed, on disk, out of order, doubled, with holes."""

from pathlib import Path

import duckdb
import numpy as np
import pytest

from monitor.lab.replay import replay, source
from monitor.lab.simulation import simulate


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("shapes")
    simulate("splitter", 300, 1.2, 3, made)
    run(made, "observations.parquet", "plain.jsonl")
    return made


def run(folder: Path, observations: str, out: str) -> bytes:
    replay(folder / "inventory.csv", folder / observations, folder / "events.csv", folder / out)
    return (folder / out).read_bytes()


def copy(folder: Path, name: str, rows: str = "SELECT * FROM t", order: str = "number") -> None:
    """The recording `t`, whose rows have a `number`, changed and put in another order."""
    form = "FORMAT parquet" if name.endswith(".parquet") else "FORMAT csv, HEADER"
    recorded = f"read_parquet('{folder}/observations.parquet', file_row_number = true)"
    duckdb.sql(
        f"COPY (WITH t AS (SELECT *, file_row_number AS number FROM {recorded}) "
        f"SELECT * EXCLUDE (number, file_row_number) FROM ({rows}) ORDER BY {order}) TO '{folder}/{name}' ({form})"
    )


@pytest.mark.parametrize("name", ["o.csv", "o.csv.gz"])
@pytest.mark.parametrize("on_disk", [False, True])
def test_text_is_as_good(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, on_disk: bool) -> None:
    """The same rows as text, packed or not, in memory or too large for it, give the same bytes."""
    copy(folder, name)
    if on_disk:
        monkeypatch.setattr(source, "MANY_BYTES", 0)
    assert run(folder, name, "text.jsonl") == (folder / "plain.jsonl").read_bytes()


def test_rows_out_of_order_and_twice(folder: Path) -> None:
    """Rows up to a round and a half late, and every row written twice, change nothing."""
    copy(folder, "late.parquet", order='"at" + (hash(number) % 90) * 1000000000')
    assert run(folder, "late.parquet", "late.jsonl") == (folder / "plain.jsonl").read_bytes()
    copy(folder, "twice.parquet", "SELECT * FROM t UNION ALL SELECT * FROM t")
    assert run(folder, "twice.parquet", "twice.jsonl") == (folder / "plain.jsonl").read_bytes()


def test_missing_rounds(folder: Path) -> None:
    """A third of the rounds is missing: the outage is found all the same, and nothing else."""
    copy(folder, "holes.parquet", 'SELECT * FROM t WHERE ("at" // 60000000000) % 3 <> 0')
    incidents = run(folder, "holes.parquet", "holes.jsonl").splitlines()
    assert len(incidents) == len((folder / "plain.jsonl").read_bytes().splitlines())


@pytest.mark.parametrize("depth", [1, 12])
def test_one_level_and_twelve(tmp_path: Path, depth: int) -> None:
    """A tree of one level and one of twelve: the element that went silent is named."""
    paths = ["/".join(f"n{level}-{i % 4}" for level in range(depth)) for i in range(80)]
    rows = [f"L{i},{path}" for i, path in enumerate(paths)]
    (tmp_path / "inventory.csv").write_text("line_id,path\n" + "\n".join(rows) + "\n", encoding="utf-8")
    text = ["at,line_id,sent,received,rtt_ms"]
    for minute in range(60):
        for i in np.random.default_rng(minute).permutation(80).tolist():
            dead = i % 4 == 2 and minute >= 30
            text.append(f"{1_700_000_000 + 60 * minute + i // 2},L{i},1,{int(not dead)},{'' if dead else 5 + i % 7}")
    rows = sorted(text[1:])
    (tmp_path / "o.csv").write_text("\n".join([text[0], *rows]) + "\n", encoding="utf-8")
    replay(tmp_path / "inventory.csv", tmp_path / "o.csv", None, tmp_path / "out.jsonl")
    incidents = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(incidents) == 1
    assert f'"name": "{paths[2]}"' in incidents[0]


def test_a_single_line(tmp_path: Path) -> None:
    """One line that fails on its own is no incident."""
    (tmp_path / "inventory.csv").write_text("line_id,path\nL1,a/b\n", encoding="utf-8")
    rows = [f"{1_700_000_000 + 60 * m},L1,1,{int(m < 20)},{'5' if m < 20 else ''}" for m in range(40)]
    (tmp_path / "o.csv").write_text("\n".join(["at,line_id,sent,received,rtt_ms", *rows]) + "\n", encoding="utf-8")
    done = replay(tmp_path / "inventory.csv", tmp_path / "o.csv", None, tmp_path / "out.jsonl")
    assert (done.rows, done.incidents) == (40, 0)
