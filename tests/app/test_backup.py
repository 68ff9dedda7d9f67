"""Backup, restore and export as an operator uses them: the commands, beside a running daemon."""

import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.app.rig import SPLITTERS, Rig, line_id


def faultline(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "monitor.app", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_backup_in_an_outage_and_restore_elsewhere(tmp_path: Path) -> None:
    """A backup made while a splitter is down; the store is lost; a daemon on the restored one goes on with the same
    incident. Restoring under the running daemon is refused, and the exported samples show the outage."""
    rig = Rig(tmp_path)
    archive = tmp_path / "night.tar.gz"
    with rig.wire:
        try:
            rig.start()
            rig.learned()
            rig.cut(4)
            (before,) = rig.until(rig.incidents, "the outage is open")

            made = faultline("backup", "--config", rig.config, archive)
            assert made.returncode == 0, made.stderr
            refused = faultline("restore", "--config", rig.config, archive)
            assert refused.returncode == 1
            assert "process" in refused.stderr
            out = tmp_path / "samples.parquet"
            written = faultline("export", "--config", rig.config, "--from", "1h", "--line", line_id(4, 0), out)
            assert written.returncode == 0, written.stderr
            lost = duckdb.execute(f"SELECT count(*) FROM read_parquet('{out}') WHERE received = 0").fetchone()
            assert lost is not None
            assert lost[0] > 0

            rig.kill()
            shutil.rmtree(tmp_path / "data")
            restored = faultline("restore", "--config", rig.config, archive)
            assert restored.returncode == 0, restored.stderr
            rig.start()
            rig.until(lambda: rig.state_of(4) == "down", "the line is still down")
            (after,) = rig.incidents()
            assert after["incident_id"] == before["incident_id"]
            assert after["started_at"] == before["started_at"]
            assert after["scope"]["name"] == SPLITTERS[4]
        finally:
            rig.stop()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("export", "out.xls"), ".parquet, .csv"),
        (("export", "--from", "yesterday", "out.csv"), "--from yesterday"),
        (("export", "--from", "1h", "--to", "2h", "out.csv"), "not before"),
        (("export", "none/out.csv"), "does not exist"),
        (("backup", "none/a.tar"), "does not exist"),
        (("restore", "rubbish.tar"), "cannot be read"),
    ],
)
def test_bad_usage_is_one_line_and_2(
    tmp_path: Path, arguments: tuple[str, ...], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong endings, times, folders and archives: exit code 2, one line that says what to do, and no file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    rig = Rig(tmp_path)
    (tmp_path / "rubbish.tar").write_bytes(b"rubbish" * 1000)
    there = sorted(tmp_path.iterdir())
    got = faultline(arguments[0], "--config", rig.config, *arguments[1:])
    assert got.returncode == 2, got
    assert words in got.stderr
    assert got.stderr.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == there
