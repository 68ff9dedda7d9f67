"""Running an engine to the end of its jobs, as a loop of a few lines."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from collectors.icmp import sockets
from collectors.icmp.batch import BatchTransport
from collectors.icmp.engine import Engine, Table
from collectors.icmp.job import Results
from collectors.icmp.lane import Lane
from collectors.icmp.single import SingleTransport
from collectors.icmp.transport import Transport
from monitor.inventory.address import parse_address

TIMEOUT_NS = 300_000_000


@contextmanager
def engine_on(*transports: Transport, timeout_ns: int = TIMEOUT_NS) -> Iterator[Engine]:
    engine = Engine({t.family: Lane(t, timeout_ns) for t in transports})
    try:
        yield engine
    finally:
        engine.close()


def real(family: int = 4, mode: sockets.Mode = "raw", single: bool = False) -> Transport:
    sock, raw = sockets.open_socket(family, mode)
    return (SingleTransport if single else BatchTransport)(sock, family, raw)


def table_of(addresses: list[str]) -> Table:
    family, high, low = [], [], []
    for text in addresses:
        raw = parse_address(text)
        assert raw is not None
        value = int.from_bytes(raw, "big")
        family.append(4 if len(raw) == 4 else 6)
        high.append(value >> 64)
        low.append(value & (2**64 - 1))
    return Table(np.array(family, np.uint8), np.array(high, np.uint64), np.array(low, np.uint64))


def finish(engine: Engine, each: Callable[[], None] = lambda: None, limit_s: float = 30) -> list[Results]:
    """Tick until every job is done; `each` is called between ticks."""
    found = []
    deadline = time.monotonic() + limit_s
    while engine.jobs:
        assert time.monotonic() < deadline, "the job does not end"
        engine.tick()
        found += [results for _, results in engine.results() if results is not None]
        each()
        wake = engine.wake_ns()
        if wake is not None:
            time.sleep(min(max(0.0, (wake - time.monotonic_ns()) / 1e9), 0.01))
    return found


def outcome(engine: Engine, *, probes: int = 1, rate_pps: float = 1e6) -> dict[int, tuple[int, int, float]]:
    """Probe the whole table; position -> sent, received, median."""
    engine.add(np.arange(len(engine.table), dtype=np.int32), probes=probes, rate_pps=rate_pps, spacing_ns=10_000_000)
    rows: dict[int, tuple[int, int, float]] = {}
    for part in finish(engine):
        for values in zip(
            part.position.tolist(), part.sent.tolist(), part.received.tolist(), part.rtt_ms.tolist(), strict=True
        ):
            assert values[0] not in rows
            rows[values[0]] = values[1:]
    return rows
