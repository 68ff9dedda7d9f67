"""Several probers: the daemon and `faultline run --prober` as two real processes, on one simulated network."""

import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitor.inventory import InventorySettings, load_inventory
from monitor.inventory.slices import Slices
from monitor.lab.process import Child, start
from tests.app.rig import PER_SPLITTER, SPLITTERS, Rig, address

NAMES = ("default", "north")
LINES = len(SPLITTERS) * PER_SPLITTER


class Pair(Rig):
    """The daemon and, on "another machine", the prober north."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, '[probers]\nnames = ["default", "north"]\nkey_file = "key"\nretry_max_s = 1.0\n')
        text = self.config.read_text().replace("[probers]\n", f'[probers]\nurl = "http://127.0.0.1:{self.port}"\n')
        self.config.write_text(text)
        (folder / "key").write_text(self.key)
        self.prober: Child | None = None
        inventory = load_inventory(folder / "inventory.csv", InventorySettings(file=""), None, 1)
        owner = Slices(NAMES).lines(inventory)
        self.far = [inventory.line_id(i) for i in range(LINES) if owner[i] == 1]
        self.near = [inventory.line_id(i) for i in range(LINES) if owner[i] == 0]

    def start_prober(self) -> Child:
        command = [sys.executable, "-m", "monitor.app", "run", "--config", str(self.config), "--prober", "north"]
        self.prober = start("north", command, log=self.folder / "north.log")
        return self.prober

    def north_log(self) -> str:
        return (self.folder / "north.log").read_text(errors="replace")

    def state(self, line: str) -> str:
        found: str = self.get(f"/api/v1/lines/{line}")["state"]
        return found

    def metric(self, name: str, **labels: str) -> float:
        """Summed over the labels that are not given."""
        headers = {"Authorization": f"Bearer {self.key}"}
        text = httpx.get(f"http://127.0.0.1:{self.port}/metrics", headers=headers, trust_env=False).text
        found = [s for family in text_string_to_metric_families(text) for s in family.samples if s.name == name]
        return sum(s.value for s in found if all(s.labels.get(k) == v for k, v in labels.items()))

    def up(self) -> int:
        count: int = sum(item["up"] for item in self.get("/api/v1/elements")["items"])
        return count

    def address_of(self, line: str) -> str:
        return address(int(line[1:3]), int(line[3:5]))

    def event(self, subject: str, kind: str, value: str) -> None:
        answer = self.post("/api/v1/events", {"subject": subject, "kind": kind, "value": value})
        assert answer.status_code == 202, answer.text


@pytest.fixture
def pair(tmp_path: Path) -> Any:
    pair = Pair(tmp_path)
    with pair.wire:
        try:
            yield pair
        finally:
            if pair.prober is not None:
                pair.prober.stop(10)
            pair.stop()


def test_two_probers_share_the_lines(pair: Pair) -> None:
    """Each line is probed by one of the two; a line of the far slice that falls is confirmed by its own prober within
    seconds; when that prober dies its lines become unknown, said once, and coming back is said."""
    pair.start()
    pair.start_prober()
    pair.until(lambda: pair.up() == LINES, "both slices are up", 40)
    assert 0.25 * LINES < len(pair.far) < 0.75 * LINES

    dead = pair.far[0]
    pair.wire.fail([pair.address_of(dead)])
    pair.until(lambda: pair.state(dead) == "down", "the far line is down", 15)
    answered = pair.metric("faultline_prober_rows_total", source="north")
    assert answered > 0
    assert pair.metric("faultline_prober_rows_refused_total", source="north") == 0
    pair.wire.mend([pair.address_of(dead)])
    pair.until(lambda: pair.state(dead) == "up", "it is up again", 15)

    assert pair.prober is not None
    pair.prober.kill()
    pair.until(lambda: pair.up() == len(pair.near), "the slice is not up", 40)
    assert {pair.state(line) for line in pair.far[:5]} == {"unknown"}
    assert {pair.state(line) for line in pair.near[:5]} == {"up"}
    pair.until(lambda: "prober:north: prober north has sent nothing" in pair.log(), "it is said", 15)
    assert [i["kind"] for i in pair.incidents() if i["kind"] == "outage"] == []
    pair.start_prober()
    pair.until(lambda: pair.up() == LINES, "both slices are up again", 40)
    pair.until(lambda: "prober:north: works again" in pair.log(), "its return is said", 15)
    assert pair.log().count("prober:north: prober north has sent nothing") == 1


def test_leases_reach_the_other_prober_and_the_daemon_may_go_away(pair: Pair) -> None:
    """An address that moves to another line is probed there by the far prober, and one with two claimants by nobody;
    the daemon's restart loses neither, and the rounds made meanwhile come in afterwards."""
    pair.start()
    pair.start_prober()
    pair.until(lambda: pair.up() == LINES, "both slices are up", 40)
    moved, other = pair.far[:2]
    # The address that `moved` has from now on does not answer: were the old one still probed, it would stay up.
    pair.wire.fail(["10.9.9.9"])
    pair.event(moved, "address_assigned", "10.9.9.9")
    pair.until(lambda: pair.state(moved) == "down", "it is judged at its new address", 20)
    # Two claimants: neither may be judged by pings any more.
    taken = pair.far[2]
    pair.event(other, "address_assigned", pair.address_of(taken))
    pair.until(lambda: pair.state(taken) == "unknown", "it is not judged", 30)
    assert [pair.get(f"/api/v1/lines/{line}")["observability"] for line in (taken, other)] == ["contested"] * 2

    pair.stop()
    pair.until(lambda: "does not answer" in pair.north_log(), "the prober says that the daemon is away", 20)
    pair.start()
    pair.until(lambda: pair.up() >= LINES - 3, "the slices are up after the restart", 40)
    pair.until(lambda: "works again" in pair.north_log(), "the prober says that the daemon is back", 20)
    assert pair.state(moved) == "down"
    assert pair.state(taken) == "unknown"


def test_what_a_prober_needs_is_said_at_once(tmp_path: Path) -> None:
    """A name that is none, and a missing key, end with 2 and one line."""
    pair = Pair(tmp_path)
    for name, words in (("south", "has no prober 'south'"), ("default", "is the daemon itself")):
        command = [sys.executable, "-m", "monitor.app", "run", "--config", str(pair.config), "--prober", name]
        child = start("prober", command, log=tmp_path / f"{name}.log")
        assert child.wait(30) == 2
        assert words in (tmp_path / f"{name}.log").read_text()
    (tmp_path / "key").unlink()
    assert pair.start_prober().wait(30) == 2
    assert "probers.key_file" in pair.north_log()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{pair.port}/healthz", trust_env=False)
