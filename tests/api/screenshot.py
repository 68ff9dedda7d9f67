"""Takes the README's picture of the page: 5,000 painted lines, some incidents, one look-up.

    .venv/bin/python -m tests.api.screenshot [--out docs/page.png] [--all FOLDER]

`--all` takes every situation in light, dark, German, English and on a phone, to be looked at.
"""

import argparse
import asyncio
import csv
import io
import tempfile
from pathlib import Path

import numpy as np

from monitor.api import ApiSettings
from monitor.clock import NS, ManualClock, SystemClock
from monitor.inventory import Inventory, load_inventory
from monitor.records import (
    Change,
    Etr,
    FlagKind,
    Incident,
    IncidentKind,
    IncidentStatus,
    LineState,
    Note,
    Severity,
)
from monitor.store.state import StateStore
from tests.api.browsing import browser, page
from tests.api.conftest import ROLES, Provider, running
from tests.desk.world import rows

REGIONS = ("north", "south", "east", "west")
STREETS = ("Lindenweg", "Hauptstraße", "Am Anger", "Gartenstraße", "Schulgasse", "Bergstraße")
NAMES = ("Ada Berger", "Ben Köhler", "Cem Yılmaz", "Dana Vogt", "Emil Brandt", "Greta Hansen", "Jonas Wolf", "Lea Thal")


def network(folder: Path) -> Inventory:
    """5,000 lines: four regions, exchanges, OLTs, PON ports with 32 lines."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows()[0]))
    writer.writeheader()
    for n in range(5000):
        pon = n // 32
        olt, region = pon // 16, REGIONS[(pon // 40) % 4]
        writer.writerow(
            {
                **rows()[0],
                "line_id": f"L{10000 + n}",
                "path": f"{region}/ex-{pon // 40 + 1}/olt-{olt + 1}/pon-{pon % 16 + 1}/split-{n // 16 % 2 + 1}",
                "address": f"10.{n // 250}.{n % 250}.1",
                "groups": f"bng:bng-{pon // 40 % 2 + 1};resolver:r{pon % 2 + 1}",
                "lat": f"{52.3 + (pon % 16) / 100 + n % 32 / 5000:.5f}",
                "lon": f"{13.2 + olt / 50 + n % 8 / 5000:.5f}",
                "cpe_serial": f"AVM{n:06d}",
                "customer_id": f"K{400000 + n * 7}",
                "name": NAMES[n % len(NAMES)],
                "phone": f"+49 30 55{n:05d}",
                "street": f"{STREETS[n // 40 % len(STREETS)]} {n // 4 % 90 + 1}",
                "postcode": f"10{pon % 900:03d}",
                "city": "Musterstadt",
                "login": f"k{n}@isp.example",
            }
        )
    path = folder / "inventory.csv"
    path.write_text(out.getvalue(), encoding="utf-8")
    return load_inventory(path)


def paint(provider: Provider) -> None:
    """An OLT down with a promise, a power cut, a resolver, planned work, one forming; and single lines unwell."""
    scene, now = provider.scene, provider.clock.now_ns()
    rng = np.random.default_rng(7)
    scene.baseline[:] = rng.normal(9, 2, len(scene.baseline)).clip(3)
    scene.rtt[:] = scene.baseline + rng.normal(0, 0.3, len(scene.rtt))
    olt = scene.under("north/ex-1/olt-1")
    scene.down(*olt, for_s=2340)
    scene.incident(
        "element:north/ex-1/olt-1",
        *olt,
        incident_id="F-7Q2K",
        severity=Severity.CRITICAL,
        started_ns=now - 2340 * NS,
        detected_ns=now - 2310 * NS,
        lines_affected=len(olt),
        lines_down=len(olt) - 4,
        lines_at_risk=len(olt),
        lines_observable=len(olt) - 9,
        confidence=0.98,
        etr=Etr(now + 4500 * NS, "noc", now + 1500 * NS),
        acked_by="m.schulz",
        acked_ns=now - 2000 * NS,
        calls=23,
        notes=(Note(now - 1900 * NS, "m.schulz", "Uplink card without power, technician on the way."),),
    )
    cut = range(2600, 2680)
    scene.down(*cut, for_s=900)
    scene.incident(
        "area:52.4100,13.3120,1.3",
        *cut,
        incident_id="F-9XR4",
        cause="power_cut",
        started_ns=now - 900 * NS,
        lines_affected=80,
        lines_down=76,
        lines_at_risk=112,
        confidence=0.91,
        calls=6,
    )
    scene.resolvers_down["r2"] = now - 420 * NS
    scene.incident(
        "group:resolver:r2",
        incident_id="F-2MD8",
        kind=IncidentKind.RESOLVER,
        cause="resolver_down",
        started_ns=now - 420 * NS,
        lines_affected=2480,
        lines_down=0,
        lines_at_risk=2480,
        confidence=0.99,
    )
    forming = scene.under("west/ex-4/olt-9/pon-1")
    scene.down(*list(forming)[:9], for_s=50)
    scene.incident(
        "element:west/ex-4/olt-9/pon-1",
        *list(forming)[:9],
        incident_id="F-4TT1",
        status=IncidentStatus.SUSPECTED,
        severity=Severity.MINOR,
        started_ns=now - 50 * NS,
        lines_affected=9,
        lines_down=9,
        lines_at_risk=len(forming),
        confidence=0.7,
    )
    scene.incident(
        "element:south/ex-2/olt-4",
        incident_id="F-1PLN",
        kind=IncidentKind.PLANNED,
        cause="maintenance",
        severity=Severity.WARNING,
        started_ns=now - 5400 * NS,
        lines_affected=31,
        lines_down=12,
        lines_at_risk=512,
        etr=Etr(now + 5400 * NS, "planned"),
    )
    scene.down(100, for_s=5000)
    scene.flaps[200] = 7
    scene.flag(scene.inventory.line_id(300), FlagKind.SLOW, "rtt_above_baseline", 41.0, "ms")
    scene.sign(100, cpe_offline_ns=4990, cpe_online_ns=90000)
    scene.state[200] = LineState.DEGRADED
    scene.loss[200] = 0.08
    provider.publish()
    steps = (0, 40, 180, 420, 500, 508)
    for i, made in enumerate(scene.incidents):
        history: list[Incident] = [made]
        if i == 0:
            history = [
                replace_incident(made, revision=n + 1, lines_down=down, updated_ns=made.started_ns + n * 60 * NS)
                for n, down in enumerate(steps[1:])
            ]
        for step in history:
            provider.state.apply(
                i + 1, [Change(step.updated_ns, "opened" if step.revision == 1 else "grew", incident=step)]
            )


def replace_incident(made: Incident, **changes: object) -> Incident:
    import msgspec

    return msgspec.structs.replace(made, **changes)


async def take(out: Path, everything: Path | None) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inventory = network(folder)
        now = SystemClock().now_ns()
        store = StateStore(folder / "state.sqlite", ManualClock(now))
        keys = {role: store.create_key("j.keller", role, None).text for role in ROLES}
        store.close()
        provider = Provider(folder / "state.sqlite", keys, inventory, ApiSettings(port=0), now)

        def answered(asked: object) -> None:
            """The live probe: who is up answers at once."""
            up = provider.scene.state != LineState.DOWN
            provider.scene.probed[:] = now + NS
            provider.scene.replied[up] = now + NS
            provider.publish()

        provider.on_probe = answered
        async with running(provider), browser() as started:
            paint(provider)
            at = {n: inventory.line_id(n) for n in (100, 200, 300, 2610)}
            at[5] = inventory.line_id(provider.scene.under("north/ex-1/olt-1")[5])
            second = inventory.groups.index_of("resolver:r2")
            assert second is not None
            at[4000] = inventory.line_id(int(inventory.groups.lines_of(second)[-1]))

            async def shot(path: Path, key: str, role: str = "lead", height: int = 900, **options: object) -> None:
                provider.clock = ManualClock(now)
                provider.services.clock = provider.clock
                async with page(started, provider.url, keys[role], height=height, **options) as shown:  # type: ignore[arg-type]
                    await shown.wait_for_selector("[data-incident]")
                    if key:
                        await shown.fill("#key", key)
                        await shown.keyboard.press("Enter")
                        await shown.wait_for_selector("#answer .verdict")
                        await shown.wait_for_timeout(700)
                    await shown.screenshot(path=path, full_page=options.get("width") == 390)
                    mistakes = shown.context.mistakes  # type: ignore[attr-defined]
                    if mistakes:
                        raise SystemExit(f"{path}: {mistakes}")

            if everything is None:
                await shot(out, at[5], height=1010)
                return
            await shot(everything / "01-outage-light.png", at[5], height=1250)
            await shot(everything / "02-outage-dark.png", at[5], dark=True, height=1250)
            await shot(everything / "03-outage-de.png", at[5], language="de", height=1250)
            await shot(everything / "04-outage-phone.png", at[5], width=390, height=844)
            await shot(everything / "05-outage-phone-dark.png", at[5], width=390, height=844, dark=True, language="de")
            await shot(everything / "06-line-down.png", at[100], role="agent", height=1250)
            await shot(everything / "07-unstable.png", at[200], height=1250)
            await shot(everything / "08-slow.png", at[300], height=1250)
            await shot(everything / "09-power.png", at[2610], height=1250)
            await shot(everything / "10-fine.png", inventory.line_id(41), height=1250)
            await shot(everything / "11-candidates.png", "Lindenweg 2")
            await shot(everything / "12-empty.png", "")
            await shot(everything / "13-dns-dark.png", at[4000], dark=True)
            async with page(started, provider.url) as shown:
                await shown.screenshot(path=everything / "14-login.png")
            async with page(started, provider.url, keys["noc"], height=1100) as shown:
                await shown.click("[data-incident='F-7Q2K'] button")
                await shown.wait_for_selector("#incident[open]")
                await shown.screenshot(path=everything / "15-incident.png")
            for name, dark, width in (("light", False, 1280), ("dark", True, 1280), ("phone", False, 390)):
                async with page(started, provider.url, keys["noc"], height=1000, dark=dark, width=width) as shown:
                    await shown.click("[data-view-link=network]")
                    await shown.click("[data-path='north']")
                    await shown.click("[data-path='north/ex-1']")
                    await shown.wait_for_selector("[data-path='north/ex-1/olt-1']")
                    await shown.wait_for_timeout(300)
                    await shown.screenshot(path=everything / f"16-network-{name}.png", full_page=width == 390)
                    await shown.click("[data-view-link=reports]")
                    await shown.wait_for_selector("#report-list *")
                    await shown.screenshot(path=everything / f"17-reports-{name}.png")
                async with page(started, provider.url, keys["admin"], height=1000, dark=dark, width=width) as shown:
                    await shown.click("[data-view-link=admin]")
                    await shown.wait_for_selector("#audit-list tr")
                    await shown.screenshot(path=everything / f"18-administration-{name}.png", full_page=width == 390)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/page.png"))
    parser.add_argument("--all", type=Path)
    arguments = parser.parse_args()
    if arguments.all:
        arguments.all.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(arguments.out, arguments.all))


if __name__ == "__main__":
    main()
