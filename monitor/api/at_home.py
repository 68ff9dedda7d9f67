"""What is known of the customer's own network: what the agent asked, and what the router told of its Wi-Fi lately."""

from anyio import to_thread

from correlation.verdict import AtHome
from monitor.api.context import log
from monitor.api.services import Services
from monitor.clock import NS
from monitor.records import ValueKind

WIFI_S = 1800.0  # how far back the router's Wi-Fi telemetry is looked for


async def told_at_home(services: Services, line_id: str, wired_works: bool | None) -> AtHome:
    """Asks the store of samples, off the loop; without it, what the agent asked stands alone."""
    samples, now_ns = services.samples, services.clock.now_ns()
    if samples is None:
        return AtHome(wired_works)
    begin_ns, end_ns = now_ns - int(WIFI_S * NS), now_ns + NS
    try:
        found = await to_thread.run_sync(samples.values_history, line_id, ValueKind.WIFI_RSSI_DBM, begin_ns, end_ns)
    except Exception as error:  # evidence that would be nice to have: without it the verdict stands
        log.info("no Wi-Fi telemetry for a look-up: %s", error)
        return AtHome(wired_works)
    if not len(found.at_ns):
        return AtHome(wired_works)
    return AtHome(wired_works, float(found.mean[-1]), int(found.at_ns[-1]))
