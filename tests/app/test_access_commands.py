"""`faultline user`, `key` and `erase` on a store of their own: what they do, print and refuse."""

import json
from pathlib import Path

import pytest

from monitor.desk import Reports
from monitor.records import Confidence, Verdict, VerdictCode
from monitor.store.state import StateStore
from tests.app.test_cli import faultline

PASSWORD = "correct horse battery"


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "inventory.csv").write_text("line_id,path\nL1,north/a\n")
    (tmp_path / "f.toml").write_text('[inventory]\nfile = "inventory.csv"\n[store]\nfolder = "data"\n')
    return str(tmp_path / "f.toml")


def store(config: str) -> StateStore:
    return StateStore(Path(config).parent / "data" / "state.sqlite")


def test_life_of_an_account(config: str) -> None:
    """Made with a password from stdin, listed, given another role and regions, locked, unlocked and removed."""
    made = faultline("user", "create", "anna", "--config", config, "--password-stdin", text=PASSWORD + "\n")
    assert (made.returncode, made.stdout) == (0, "anna created as agent\n")
    assert store(config).check_password("anna", PASSWORD)
    again = faultline("user", "create", "anna", "--config", config, "--password-stdin", text=PASSWORD + "\n")
    assert again.returncode == 2
    assert again.stderr.count("\n") == 1
    changed = faultline("user", "change", "anna", "--role", "noc", "--region", "north", "--config", config)
    assert changed.returncode == 0, changed.stderr
    listed = json.loads(faultline("user", "list", "--json", "--config", config).stdout)
    assert (listed["role"], listed["regions"]) == ("noc", ["north"])
    assert "password" not in str(listed)
    assert faultline("user", "disable", "anna", "--config", config).returncode == 0
    assert store(config).check_password("anna", PASSWORD) is None
    assert faultline("user", "enable", "anna", "--config", config).returncode == 0
    assert store(config).check_password("anna", PASSWORD)
    assert faultline("user", "delete", "anna", "--config", config).returncode == 0
    assert faultline("user", "delete", "anna", "--config", config).returncode == 2
    assert {e.action for e in store(config).audit_trail()} == {"user_create", "user_change", "user_delete"}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["user", "create", "anna", "--password-stdin"], "short\n"),
        (["user", "create", "anna", "--role", "admin", "--region", "north", "--password-stdin"], PASSWORD + "\n"),
        (["user", "password", "nobody", "--password-stdin"], PASSWORD + "\n"),
        (["key", "create", "--name", "a\nb"], ""),
        (["key", "create", "--name", "x", "--role", "admin", "--region", "north"], ""),
    ],
)
def test_what_is_refused(config: str, arguments: list[str], text: str) -> None:
    """A weak password, an administrator with regions, an unknown name, a name that breaks a log: 2, and one line."""
    done = faultline(*arguments, "--config", config, text=text)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_key_with_regions(config: str) -> None:
    """The key carries its regions."""
    text = faultline("key", "create", "--name", "south", "--region", "south", "--config", config).stdout.strip()
    found = store(config).check_key(text, 1)
    assert found is not None
    assert found.regions == ("south",)


def test_erase_forgets_the_reports_of_a_line(config: str) -> None:
    """Words and verdicts of the line are gone from the file's rows, those of others stay, and the trail says it."""
    reports = Reports(store(config))
    for line in ("L1", "L2"):
        reports.add(Verdict(VerdictCode.NO_FAULT_FOUND, Confidence.SURE, 1, line), 1, "anna", "slow", "my words")
    done = faultline("erase", "L1", "--yes", "--config", config)
    assert (done.returncode, done.stdout) == (0, "1 reports erased\n")
    assert [r.line_id for r in reports.search().items] == ["L2"]
    assert faultline("erase", "L1", "--yes", "--config", config).stdout == "no reports of these lines\n"
    assert [e.subject for e in store(config).audit_trail()] == ["L1"]
