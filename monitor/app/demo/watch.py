"""Watches a running daemon through its API, as anybody could, and says each news in one readable line."""

import textwrap
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import httpx
import msgspec

from monitor.app.demo.report import Found
from monitor.app.errors import RunFailed
from monitor.clock import parse_time

Say = Callable[[str], None]
TRIES = 5
PATIENCE = 3  # polls
WIDTH, INDENT = 120, " " * 29


def _seconds(text: str) -> float:
    return parse_time(text) / 1e9


CLEAR_DB = 3.0  # more than a splice, a bent fibre or the seasons


class Light(msgspec.Struct):
    """The light a router receives, as it reports it, and whether its line answers."""

    first_dbm: float
    last_dbm: float
    reports: int
    state: str
    loss_ratio: float

    @property
    def lost_db(self) -> float:
        return self.first_dbm - self.last_dbm

    def words(self) -> str:
        return (
            f"its router reports light falling from {self.first_dbm:.1f} to {self.last_dbm:.1f} dBm; "
            f"the line is {self.state}, {self.loss_ratio:.0%} of its pings are lost"
        )


class Watch:
    """Polls incidents, flags and chosen lines. `found` is everything that was ever said, by reference."""

    def __init__(self, url: str, key: str, say: Say, zero_s: float) -> None:
        self._client = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=10.0, trust_env=False
        )
        self._say = say
        self._zero_s = zero_s
        self._status: dict[str, str] = {}
        self._beyond = 0  # polls in a row with more lines down than the faults explain
        self._faded: set[str] = set()
        self.found: dict[str, Found] = {}

    def close(self) -> None:
        self._client.close()

    def get(self, path: str, **query: Any) -> Any:
        """Raises RunFailed when the daemon does not answer as it should."""
        wrong = ""
        for _ in range(TRIES):
            try:
                answer = self._client.get(path, params=query)
            except httpx.HTTPError as error:
                wrong = f"the daemon does not answer {path}: {error}"
            else:
                if answer.status_code == 200:
                    return answer.json()
                wrong = f"the daemon answers {path} with {answer.status_code}: {answer.text[:200]}"
            time.sleep(1)
        raise RunFailed(wrong)

    def ready(self) -> bool:
        try:
            return self._client.get("/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def poll(self, suspects: Sequence[str], failing: int, now_s: float) -> None:
        """Take in what is new. `suspects`: line_ids whose own state is asked for; `failing`: how many lines may be down
        because of what was injected."""
        for incident in self.get("/api/v1/incidents", status="all", limit=200)["items"]:
            if incident["status"] != "suspected":
                self._incident(incident, now_s)
        for flag in self.get("/api/v1/flags")["items"]:
            self._flag(flag, now_s)
        for line_id in suspects:
            self._line(line_id, now_s)
        self._others(failing, now_s)

    def _others(self, failing: int, now_s: float) -> None:
        """Lines that are down although nobody broke them are blame too; one lost confirmation is waited for."""
        tops = self.get("/api/v1/elements")["items"]
        down = sum(top["down"] for top in tops)
        self._beyond = self._beyond + 1 if down > failing else 0
        if self._beyond != PATIENCE:
            return
        where = " and ".join(top["path"] for top in tops if top["down"])
        text = f"{down} lines are said to be down where at most {failing} can be"
        ref = f"beyond|{now_s:.0f}"
        self.found[ref] = Found(ref, "down", "lines", where, frozenset(), now_s, now_s, text)
        self._news(f"{'DOWN':10} {text} ({where})", now_s)

    def _incident(self, incident: dict[str, Any], now_s: float) -> None:
        ref, status, scope = incident["incident_id"], incident["status"], incident["scope"]
        new = self._status.get(ref) != status
        self._status[ref] = status
        known = self.found.get(ref)
        if known and not new and len(known.lines) == min(incident["lines_affected"], 1000):
            return
        detail = self.get(f"/api/v1/incidents/{ref}")
        opened = [_seconds(step["at"]) for step in detail["history"] if step["status"] in ("open", "recovering")]
        if not opened:
            return  # it was suspected and came to nothing: nobody was told
        text = " ".join(both["en"] for both in incident["explanation"])
        self.found[ref] = Found(
            ref=ref,
            kind=incident["kind"],
            scope_kind=scope["kind"],
            scope_name=scope["name"],
            lines=frozenset(detail["lines"]),
            at_s=min(opened),
            started_s=_seconds(incident["started_at"]),
            text=text,
        )
        if new:
            word = {"open": incident["kind"].upper(), "recovering": "recovering", "resolved": "resolved"}[status]
            reach = f"{incident['lines_affected']} of {incident['lines_at_risk']} lines"
            self._news(f"{word:10} {scope['kind']} {scope['name']}  {reach}", now_s)
            if status == "open":
                self._say(textwrap.fill(text, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT))

    def _flag(self, flag: dict[str, Any], now_s: float) -> None:
        ref = f"{flag['subject']}|{flag['kind']}|{flag['started_at']}"
        if ref in self.found:
            return
        kind, _, name = flag["subject"].rpartition(":") if flag["subject"].startswith("element:") else ("line", "", "")
        name = name or flag["subject"]
        self.found[ref] = Found(
            ref=ref,
            kind=flag["kind"],
            scope_kind=kind,
            scope_name=name,
            lines=frozenset([name] if kind == "line" else []),
            at_s=_seconds(flag["detected_at"]),
            started_s=_seconds(flag["started_at"]),
            text=f"{flag['reason']} {flag['value']:.1f} {flag['unit']}",
        )
        self._news(
            f"{flag['kind'].upper():10} {kind} {name}  {flag['reason']}: {flag['value']:.1f} {flag['unit']}", now_s
        )

    def light(self, line_id: str) -> Light | None:
        """What its router has reported of the light so far; None while there are too few reports."""
        found = self.get(f"/api/v1/lines/{line_id}/telemetry", kind="rx_power_dbm", hours=1, points=1000)
        if len(found["mean"]) < 2:
            return None
        line = self.get(f"/api/v1/lines/{line_id}")
        return Light(found["mean"][0], found["mean"][-1], len(found["mean"]), line["state"], line["loss_ratio"] or 0.0)

    def fading(self, line_id: str, now_s: float) -> None:
        """Say once that the light of a line has become clearly weaker while its pings are fine."""
        if line_id in self._faded or (light := self.light(line_id)) is None or light.lost_db < CLEAR_DB:
            return
        self._faded.add(line_id)
        self._news(f"{'FADING':10} line {line_id}  {light.words()}", now_s)

    def _line(self, line_id: str, now_s: float) -> None:
        ref = f"{line_id}|down"
        if ref in self.found:
            return
        line = self.get(f"/api/v1/lines/{line_id}")
        if line["state"] != "down" or line["incident"]:
            return
        self.found[ref] = Found(ref, "down", "line", line_id, frozenset([line_id]), now_s, now_s, "this line alone")
        self._news(f"{'DOWN':10} line {line_id}  {line['verdict']['title']['en']}", now_s)

    def _news(self, text: str, now_s: float) -> None:
        clock = datetime.fromtimestamp(now_s).astimezone().strftime("%H:%M:%S")
        self._say(f"{clock} +{now_s - self._zero_s:4.0f} s  {text}")
