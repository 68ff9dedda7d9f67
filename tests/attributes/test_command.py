"""`faultline explain`: files as people have them, and what it says when they are wrong."""

import json
from pathlib import Path

import pytest

from monitor.app.cli import run


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def rows(separator: str = ",") -> str:
    lines = [separator.join(("at", "olt", "firmware", "bad", "total"))]
    for minute in range(20):
        for olt in ("olt-1", "olt-2", "olt-3"):
            for firmware in ("7.0", "7.1", "07.1"):
                failing = minute >= 10 and olt == "olt-3" and firmware == "7.1"
                cells = (str(1_700_000_000 + 60 * minute), olt, firmware, "9" if failing else "1", "50")
                lines.append(separator.join(cells))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("separator", [",", ";"])
def test_json_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str], separator: str) -> None:
    """One object a cause with the promised keys; values stay text as in the table (7.1 is not 07.1)."""
    table = write(tmp_path / "t.csv", "\ufeff" + rows(separator))
    assert run(["explain", str(table), "--at", "2023-11-14T22:23:20Z", "--json"]) == 0
    (row,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert row["cause"] == {"olt": "olt-3", "firmware": "7.1"}
    assert (row["bad"], row["total"]) == (90, 500)
    assert list(row) == ["cause", "bad", "total", "background_ratio", "score", "confidence"]
    assert row["background_ratio"] == pytest.approx(0.02, abs=0.003)


def test_nothing_to_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No cause: exit code 0, empty output; without --json a word on stderr."""
    table = write(tmp_path / "t.csv", "cdn,bad,total\na,1,50\nb,1,50\n")
    assert run(["explain", str(table), "--json"]) == 0
    assert capsys.readouterr() == ("", "")
    assert run(["explain", str(table)]) == 0
    assert capsys.readouterr().err == "no attribute explains the failures\n"


def test_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For people: one line a cause, with its numbers."""
    table = write(tmp_path / "t.csv", rows())
    assert run(["explain", str(table), "--at", "1700000600"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("firmware 7.1 and olt olt-3: 90 of 500 bad (18.0%")


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ("", [], "the file is empty"),
        ("cdn,bad\na,1\n", [], "total: the column is missing"),
        ("bad,total\n1,2\n", [], "has no attribute"),
        ("cdn,bad,total\na,1,2\nb,x,2\n", [], "t.csv:3: bad: 'x' is not a number"),
        ("cdn,bad,total\na,3,2\n", [], "t.csv:2: bad: '3' is more than total"),
        ("cdn,bad,total\na,,2\n", [], "t.csv:2: bad: is empty"),
        ("cdn,bad,total\na,nan,2\n", [], "t.csv:2: bad: 'nan' is not a number"),
        ("cdn,bad,total\na,-1,2\n", [], "t.csv:2: bad: '-1' is not a number"),
        ("cdn,bad,total\na,1,2\n", ["--at", "1700000000"], "at: the column is missing"),
        ("cdn,at,bad,total\na,soon,1,2\n", ["--at", "1700000000"], "t.csv:2: at: 'soon' is not a time"),
        ("cdn,bad,total\na,1,2\n", ["--at", "soon"], "'soon' is not a time"),
        ("cdn,bad,total\na,1,2\nb,1\n", [], "t.csv:3: has 2 fields where the header has 3"),
        ("cdn,cdn,bad,total\na,a,1,2\n", [], "cdn: the column is there twice"),
    ],
)
def test_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, arguments: list[str], said: str
) -> None:
    """Exit code 2 and one line that names the file, the line and the field."""
    table = write(tmp_path / "t.csv", text)
    assert run(["explain", str(table), *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


def test_no_such_file_and_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there, and one that is no text."""
    assert run(["explain", str(tmp_path / "none.csv")]) == 2
    (tmp_path / "t.csv").write_bytes(b"cdn,bad,total\n\xff\xfe,1,2\n")
    assert run(["explain", str(tmp_path / "t.csv")]) == 2
    assert "is not UTF-8" in capsys.readouterr().err
