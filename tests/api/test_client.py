"""The terminal's look-up and incident list, against a real server; and what they say when something is wrong."""

import asyncio
import io
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from monitor.api import client
from monitor.inventory import Inventory
from monitor.records import Scope, ScopeKind
from tests.api.conftest import Provider
from tests.desk.world import incident, load, promised

PON = "north/ex-1/olt-1/pon-1"


async def run(call: Any, *args: Any, **kwargs: Any) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = await asyncio.to_thread(call, *args, out=out, err=err, **kwargs)
    return code, out.getvalue(), err.getvalue()


async def test_lookup_prints_what_an_agent_sees(isp: Provider) -> None:
    """Verdict, scope, promise, sentence, steps and evidence, in both languages."""
    isp.scene.down(*range(8))
    isp.scene.incident(f"element:{PON}", *range(8), etr=promised())
    isp.publish()
    code, out, err = await run(client.lookup, "L000", isp.url, isp.keys["agent"])
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "Known outage  (sure)"
    assert "A… M…" in lines[1]
    assert f"Scope: {PON}, 8/8  INC-0000" in out
    assert "(promised)" in out
    assert "Say: There has been a confirmed outage" in out
    assert "1. Log the report" in out
    _, german, _ = await run(client.lookup, "L000", isp.url, isp.keys["agent"], language="de")
    assert german.startswith("Bekannte Störung  (sicher)")


async def test_lookup_as_json(isp: Provider) -> None:
    """One object, the server's own."""
    code, out, _ = await run(client.lookup, "L000", isp.url, isp.keys["agent"], as_json=True)
    assert code == 0
    assert json.loads(out)["verdict"]["code"] == "NO_FAULT_FOUND"


async def test_lookup_without_one_line(isp: Provider) -> None:
    """Several matches list hints and end with 2, as does none."""
    code, out, _ = await run(client.lookup, "Lindenweg 2", isp.url, isp.keys["agent"])
    assert code == 2
    assert "L002" in out
    assert "Muster" not in out
    code, out, err = await run(client.lookup, "nobody", isp.url, isp.keys["agent"])
    assert code == 2
    assert err.startswith("nothing is known by 'nobody'")


async def test_terminal_is_not_told_what_to_do(isp: Provider, tmp_path: Path, inventory: Inventory) -> None:
    """Escape sequences in names do not reach the terminal."""
    isp.inventory = load(tmp_path, {"L000": {"name": "\x1b]0;owned\x07Eve"}})
    isp.bindings = type(isp.bindings)(isp.inventory)
    _, out, _ = await run(client.lookup, "L000", isp.url, isp.keys["lead"])
    assert "\x1b" not in out
    assert "Eve" in out
    assert inventory


@pytest.mark.parametrize(
    ("url", "key", "code", "text"),
    [
        ("", "", 2, "set FAULTLINE_KEY"),
        ("nonsense", "fl_a_b", 2, "is no URL"),
        ("http://127.0.0.1:1", "fl_a_b", 1, "cannot be reached"),
        ("", "fl_a_b", 1, "not valid"),
        ("", "schlüssel", 2, "begins with fl_"),
    ],
)
async def test_what_is_wrong_is_one_line(isp: Provider, url: str, key: str, code: int, text: str) -> None:
    """No key, no server, a wrong key: one line on stderr and the right exit code, for both commands."""
    for call, args in ((client.lookup, ("L000",)), (client.incidents, ())):
        got, out, err = await run(call, *args, url or isp.url, key)
        assert (got, out) == (code, "")
        assert text in err
        assert err.count("\n") == 1


async def test_incidents_listed_and_followed(isp: Provider) -> None:
    """The list first, then every change once, also after the list was fetched again."""
    _, none, _ = await run(client.incidents, isp.url, isp.keys["agent"])
    assert none == "No open incidents\n"
    scope = Scope(ScopeKind.ELEMENT, PON)
    isp.decide(incident(scope))
    out, err, done = io.StringIO(), io.StringIO(), threading.Event()
    follow = asyncio.create_task(
        asyncio.to_thread(
            client.incidents, isp.url, isp.keys["agent"], out, err, follow=True, stop=lambda: done.is_set()
        )
    )
    while isp.app.state.api.feed._streams == 0:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    await asyncio.to_thread(isp.decide, incident(scope, revision=2, lines_down=16, lines_at_risk=16), "grew")
    while "16/16" not in out.getvalue():  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    done.set()
    isp.app.state.api.feed.stop()
    assert await asyncio.wait_for(follow, 10) == 0
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].endswith(f"Outage: {PON}  INC-0000")
    assert err.getvalue() == ""
