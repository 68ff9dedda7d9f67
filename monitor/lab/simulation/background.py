"""What happens without any fault: single failures, modems switched off at night, suspended lines, and their calls.

Measured in the field: 1.8 down-starts per 1,000 line-hours, more bunched than chance; 8-10 % of modems off at night.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from monitor.lab.simulation.world import BUSINESS_EVERY, HOUR, MINUTE, NS, World

ZONE = ZoneInfo("Europe/Berlin")
STARTS_PER_LINE_HOUR = 0.0018
BUNCHING = 0.7  # shape of the gamma that each exchange's rate is drawn from every hour; 1 and less is bunched
NIGHT_RATIO = 0.10  # of the lines are switched off at night, on nine nights of ten
CALLS_PER_LINE_HOUR = 0.0002
OFFICE_RATIO = 0.12  # of the business lines are switched off when the office is closed: evenings, weekends, holidays
LATER = (1.0, 1.6)  # hours: to bed and up, before and on days off
HOLIDAYS = frozenset({date(2026, 4, 3), date(2026, 4, 6), date(2026, 5, 1), date(2026, 5, 14), date(2026, 5, 25)})


def add_background(world: World) -> None:
    _single_failures(world)
    _nights(world)
    _offices(world)
    network = world.network
    suspended = np.flatnonzero(network.suspended).astype(np.int32)
    world.cut(suspended, world.start_ns - HOUR, world.end_ns + HOUR)
    rng = world.rng(13)
    hours = (world.end_ns - world.start_ns) / HOUR
    for line in rng.integers(len(network), size=rng.poisson(CALLS_PER_LINE_HOUR * hours * len(network))).tolist():
        world.say(int(rng.integers(world.start_ns, world.end_ns)), network.line_ids[line], "call")


def _single_failures(world: World) -> None:
    """Resyncs and reboots (a minute or few), faults that need a while, and those that last for hours."""
    network, rng = world.network, world.rng(11)
    exchange = network.at_depth[network.exchange_depth]
    elements = np.unique(exchange)
    rank = np.searchsorted(elements, exchange)
    for begin in range(world.start_ns, world.end_ns, HOUR):
        rate = rng.gamma(BUNCHING, STARTS_PER_LINE_HOUR / BUNCHING, len(elements))[rank]
        lines = np.flatnonzero(rng.random(len(network)) < rate).astype(np.int32)
        kind = rng.choice(3, len(lines), p=[0.6, 0.3, 0.1])
        minutes = np.choose(
            kind,
            [
                rng.uniform(1, 4, len(lines)),
                np.exp(rng.uniform(np.log(5), np.log(60), len(lines))),
                np.exp(rng.uniform(np.log(60), np.log(900), len(lines))),
            ],
        )
        start = begin + rng.integers(0, HOUR, len(lines))
        power = rng.random(len(lines)) < 0.35  # unplugged, or the fuse
        for is_power in (True, False):
            rows = power == is_power
            world.cut(lines[rows], start[rows], start[rows] + (minutes[rows] * MINUTE).astype(np.int64), power=is_power)


def _nights(world: World) -> None:
    """Some people switch their modem off when they go to bed, at their own hour, more or less."""
    network, rng = world.network, world.rng(12)
    sleepers = np.flatnonzero(rng.random(len(network)) < NIGHT_RATIO).astype(np.int32)
    bed = rng.normal(23.2, 1.0, len(sleepers))
    rise = rng.normal(6.8, 0.9, len(sleepers))
    day = datetime.fromtimestamp(world.start_ns // NS, UTC).astimezone(ZONE).date() - timedelta(days=1)
    while (midnight := int(datetime(day.year, day.month, day.day, tzinfo=ZONE).timestamp()) * NS) < world.end_ns:
        tonight = rng.random(len(sleepers)) < 0.9
        count = int(tonight.sum())
        # The next morning by the wall clock, which daylight saving may have moved.
        after = day + timedelta(days=1)
        late = LATER if is_free(after) else (0.0, 0.0)  # nobody has to get up
        start = midnight + ((bed[tonight] + late[0] + rng.normal(0, 0.4, count)) * HOUR).astype(np.int64)
        morning = int(datetime(after.year, after.month, after.day, tzinfo=ZONE).timestamp()) * NS
        end = morning + ((rise[tonight] + late[1] + rng.normal(0, 0.4, count)) * HOUR).astype(np.int64)
        world.cut(sleepers[tonight], start, end, power=True)
        day = after


def is_free(day: date) -> bool:
    """A weekend or a public holiday."""
    return day.weekday() >= 5 or day in HOLIDAYS


def _offices(world: World) -> None:
    """Offices switch everything off when they close, each at its own hour, and on again on the next working day."""
    rng = world.rng(14)
    business = np.flatnonzero(np.arange(len(world.network)) % BUSINESS_EVERY == 0).astype(np.int32)
    offices = business[rng.random(len(business)) < OFFICE_RATIO]
    opens, closes = rng.normal(7.7, 0.6, len(offices)), rng.normal(18.1, 0.9, len(offices))
    day = datetime.fromtimestamp(world.start_ns // NS, UTC).astimezone(ZONE).date() - timedelta(days=7)
    closed: datetime | None = None
    while closed is None or int(closed.timestamp()) * NS < world.end_ns:
        if not is_free(day):
            midnight = datetime(day.year, day.month, day.day, tzinfo=ZONE)
            if closed is not None:
                start, end = (
                    int(at.timestamp()) * NS + ((hours + rng.normal(0, 0.25, len(offices))) * HOUR).astype(np.int64)
                    for at, hours in ((closed, closes), (midnight, opens))
                )
                inside = (end > world.start_ns) & (start < world.end_ns)
                world.cut(offices[inside], start[inside], end[inside], power=True)
            closed = midnight
        day += timedelta(days=1)
