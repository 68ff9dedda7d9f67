"""`faultline anomalies`: what it reads, what it writes, and how it refuses."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from monitor.app.cli import run
from monitor.app.series_file import read_series
from monitor.inventory.problems import InputProblems


def rows(count: int = 200, step_at: int = 120) -> list[float]:
    rng = np.random.default_rng(1)
    return [round(float(v), 3) for v in 30 + rng.gamma(1, 0.2, count) + 5 * (np.arange(count) >= step_at)]


def write(path: Path, header: str, lines: list[str]) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_json_lines_as_documented(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One object a change with exactly the documented keys, on the screen and in the file."""
    file = write(tmp_path / "s.csv", "epoch;rtt", [f"{1_700_000_000 + 240 * i};{v}" for i, v in enumerate(rows())])
    out = tmp_path / "out.jsonl"
    assert run(["anomalies", str(file), "--json", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert shown == out.read_text()
    (change,) = [json.loads(line) for line in shown.splitlines()]
    assert list(change) == ["kind", "index", "decided_index", "at", "before_ms", "after_ms", "score"]
    assert change["kind"] == "shift"
    assert abs(change["index"] - 120) <= 2
    assert change["at"].endswith("Z")


def test_a_table_without_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """People get a table with a heading."""
    file = write(tmp_path / "s.csv", "at,rtt_ms", [f"{1_700_000_000 + 60 * i},{v}" for i, v in enumerate(rows())])
    assert run(["anomalies", str(file)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.split()[:3] == ["at", "kind", "index"]
    assert "shift" in second


def test_decimal_comma_dates_gzip_and_marks_of_order(tmp_path: Path) -> None:
    """Decimal commas, date-times without a zone, a byte order mark, further columns and gzip read alike."""
    plain = write(tmp_path / "a.csv", "time,rtt", ["2026-01-01T00:00:00Z,1.5", "2026-01-01 00:04:00,2.5"])
    packed = tmp_path / "b.csv.gz"
    text = "\ufeffepoch;rtt;cp\n2026-01-01 00:00:00;1,5;0\n2026-01-01 00:04:00;2,5;1\n"
    packed.write_bytes(gzip.compress(text.encode()))
    one, two = read_series(plain), read_series(packed)
    assert one.rtt_ms.tolist() == two.rtt_ms.tolist() == [1.5, 2.5]
    assert one.at_ns.tolist() == two.at_ns.tolist()


def test_lost_absurd_and_backward_rows_are_counted(tmp_path: Path) -> None:
    """Empty, zero, negative, infinite and huge round trips are lost; rows that go back in time keep their place."""
    series = read_series(write(tmp_path / "s.csv", "t;rtt", ["10;", "20;0", "15;-4", "30;1e9", "40;nan", "50;7"]))
    assert np.isnan(series.rtt_ms).tolist() == [True] * 5 + [False]
    assert (series.absurd, series.backwards) == (2, 1)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "is empty"),
        ("epoch\n1\n", "header needs two columns"),
        ("1700000000;5\n", "header row is needed"),
        ("epoch;rtt\n1700000000;5\nnoon;5\n", ":3: epoch"),
        ("epoch;rtt\n1700000000;fast\n", ":2: rtt"),
        ("epoch,rtt\n1700000000,5,5\n", "decimal comma"),
        ("epoch;rtt\n1700000000\n", ":2: 1 columns"),
        ('epoch;rtt\n1700000000;5\n1700000060;"5\n1700000120;5\n', ":3: cannot be read as CSV"),
        (f"epoch;rtt\n1700000000;{'5' * 200_000}\n", ":2: cannot be read as CSV"),
    ],
)
def test_what_cannot_be_read_is_refused_by_row_and_field(tmp_path: Path, text: str, where: str) -> None:
    """The whole file is refused, naming file, line and field."""
    file = tmp_path / "s.csv"
    file.write_text(text)
    with pytest.raises(InputProblems, match=where):
        read_series(file)


def test_bad_files_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing file, binary rubbish and broken archives end with 2 and one line on stderr; no output is written."""
    (tmp_path / "rubbish.csv").write_bytes(bytes(range(128, 256)))
    packed = gzip.compress("".join(f"{i};{i % 7}\n" for i in range(3000)).encode())
    (tmp_path / "cut.csv.gz").write_bytes(packed[:-6])
    (tmp_path / "broken.csv.gz").write_bytes(packed[:60] + bytes(b ^ 0xFF for b in packed[60:90]) + packed[90:])
    for name in ("none.csv", "rubbish.csv", "cut.csv.gz", "broken.csv.gz"):
        out = tmp_path / "out.jsonl"
        assert run(["anomalies", str(tmp_path / name), "--out", str(out)]) == 2, name
        assert capsys.readouterr().err.count("\n") == 1
        assert not out.exists()


def test_a_header_alone_gives_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No rows: no changes, exit 0."""
    assert run(["anomalies", str(write(tmp_path / "s.csv", "epoch;rtt", [])), "--json"]) == 0
    assert capsys.readouterr().out == ""
