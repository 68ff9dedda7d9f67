"""Which routers are there, for `faultline cpe list`: retained availability, and what USP agents answer now."""

import asyncio

import msgspec

from collectors.cpe.asking import AgentError, AgentSilent
from collectors.cpe.frames import Inbound
from collectors.cpe.normal import Refused, clean
from collectors.cpe.oneshot import Agent, OneShot
from collectors.cpe.provision import read_rows
from collectors.cpe.telemetry import parse_availability
from collectors.cpe.usp import calls
from monitor.inventory import Inventory

INFO = "Device.DeviceInfo."
ASKED = tuple(INFO + name for name in ("ModelName", "SoftwareVersion", "UpTime"))
BURST, PAUSE_S = 100, 0.05  # questions in one go, and the pause after: the broker's queues are not ours to fill


class Row(msgspec.Struct):
    """`state`: online, offline (last will), answers (a USP agent, now), silent. `uptime_s`: None when not told."""

    line_id: str
    serial: str
    endpoint: str
    state: str = "silent"
    model: str = ""
    firmware: str = ""
    uptime_s: int | None = None


async def list_routers(
    shot: OneShot, inventory: Inventory, text: str, limit: int, wait_s: float
) -> tuple[list[Row], int]:
    """Rows in the order of the inventory, and how many were left out. Raises Unreachable."""
    rows: dict[str, Row] = {}
    left_out = 0
    line_ids, serials = inventory.texts["line_id"], inventory.texts["cpe_serial"]
    endpoints, models = inventory.texts["cpe_endpoint"], inventory.texts["cpe_model"]
    for number in range(len(inventory)):
        serial = serials[number]
        if not serial or not any(text in part for part in (line_ids[number], serial, endpoints[number])):
            continue
        if len(rows) >= limit:
            left_out += 1
            continue
        rows[serial] = Row(line_ids[number], serial, endpoints[number], model=models[number])

    def heard(message: Inbound) -> None:
        serial, _, rest = message.topic.removeprefix(shot.settings.prefix + "/").partition("/")
        row = rows.get(serial)
        if rest == "availability" and row is not None and row.state != "answers":
            try:
                row.state = "online" if parse_availability(message.payload) else "offline"
            except Refused:
                return

    shot.listeners.append(heard)
    async with shot.connected([f"{shot.settings.prefix}/+/availability"]):
        jobs = []
        if shot.settings.usp.enabled:
            for number, row in enumerate(row for row in rows.values() if row.endpoint):
                jobs.append(asyncio.create_task(_ask(shot, row, wait_s)))
                if number % BURST == BURST - 1:
                    await asyncio.sleep(PAUSE_S)
        await asyncio.gather(*jobs)
        if not jobs:
            await asyncio.sleep(min(wait_s, 1.0))  # retained messages come at once
    return list(rows.values()), left_out


async def _ask(shot: OneShot, row: Row, wait_s: float) -> None:
    try:
        answer = await shot.look(Agent(row.line_id, row.serial, row.endpoint), calls.get(ASKED), wait_s)
    except AgentSilent:
        return
    except AgentError:
        row.state = "answers"
        return
    row.state = "answers"
    info = read_rows(answer).get(INFO, {})
    row.model = clean(info.get("ModelName", row.model))
    row.firmware = clean(info.get("SoftwareVersion", ""))
    uptime = info.get("UpTime", "")
    row.uptime_s = int(uptime) if uptime.isdecimal() and len(uptime) < 12 else None
