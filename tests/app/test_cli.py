"""The command line: exit codes and one line on stderr, as scripts rely on them."""

import subprocess
import sys
from pathlib import Path

import pytest

from monitor.app.cli import COMMANDS, run


def faultline(*arguments: str, text: str = "") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "monitor.app", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)


def test_every_command_has_help() -> None:
    """`--help` of every command prints its usage and exits 0."""
    for name in COMMANDS:
        assert run([name, "--help"]) == 0, name


@pytest.mark.parametrize("arguments", [["nonsense"], ["run"], ["run", "--config"], ["probe", "--rate", "x", "-"], []])
def test_bad_usage_exits_2_with_one_line(arguments: list[str]) -> None:
    """Bad usage ends with 2, and stderr holds one line (the help, when no command is given)."""
    done = faultline(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    if arguments:
        assert done.stderr.count("\n") == 1, done.stderr


def test_missing_configuration_exits_2(tmp_path: Path) -> None:
    """A configuration that is not there ends with 2 and names the file."""
    done = faultline("run", "--config", str(tmp_path / "none.toml"))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "none.toml" in done.stderr


def test_bad_inventory_exits_2_and_names_file_line_field(tmp_path: Path) -> None:
    """A bad row stops the start with file, line and field; nothing is created in the store."""
    (tmp_path / "inventory.csv").write_text("line_id,path,lat,lon\nL1,a/b,52,13\nL2,a/b,north,13\n")
    (tmp_path / "f.toml").write_text('[inventory]\nfile = "inventory.csv"\n[store]\nfolder = "data"\n')
    done = faultline("run", "--config", str(tmp_path / "f.toml"))
    assert done.returncode == 2
    assert "inventory.csv:3: lat: " in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()
