"""The engine by itself, as the daemon uses it: addresses are columns already, and results stay columns.

    python -m benchmarks.probing.worker BASE COUNT RATE [--timeout S] [--window S] [--dump FILE]

Probes COUNT addresses from BASE on, RATE a second, and prints a JSON object: `sent`, `received`, `unknown` (probes),
`send_s` (first to last probe), `cpu_s`, `faults`. `--dump` keeps `sent`, `received`, `rtt_ms` by address (npz).
"""

import argparse
import ipaddress
import json
import time
from pathlib import Path

import numpy as np

from collectors.icmp.engine import Engine, Table
from collectors.icmp.opening import open_lanes


def table_from(base: str, count: int) -> Table:
    first = ipaddress.ip_address(base)
    high, low = divmod(int(first), 1 << 64)
    return Table(
        np.full(count, first.version, np.uint8),
        np.full(count, high, np.uint64),
        np.arange(count, dtype=np.uint64) + np.uint64(low),
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("base")
    parser.add_argument("count", type=int)
    parser.add_argument("rate", type=float)
    parser.add_argument("--timeout", type=float, default=1.0)
    parser.add_argument("--dump", type=Path)
    args = parser.parse_args()
    n = args.count
    engine = Engine(open_lanes("auto", "", "", int(args.timeout * 1e9))[0])
    engine.use_table(table_from(args.base, n))
    sent, received = np.zeros(n, np.uint16), np.zeros(n, np.uint16)
    rtt_ms = np.full(n, np.nan, np.float32) if args.dump else None
    began, cpu = time.monotonic(), time.process_time()
    job = engine.add(np.arange(n, dtype=np.int32), probes=1, rate_pps=args.rate, spacing_ns=0)
    send_s = 0.0
    while engine.jobs:
        engine.tick()
        if not send_s and job.begun == n:
            send_s = time.monotonic() - began
        for _, part in engine.results():
            if part is not None:
                sent[part.position], received[part.position] = part.sent, part.received
                if rtt_ms is not None:
                    rtt_ms[part.position] = part.rtt_ms
        wake = engine.wake_ns()
        if wake is not None:
            time.sleep(max(0.0, (wake - time.monotonic_ns()) / 1e9))
    cpu_s = time.process_time() - cpu
    engine.close()
    if args.dump and rtt_ms is not None:
        np.savez(args.dump, sent=sent, received=received, rtt_ms=rtt_ms)
    answer = {
        "sent": int(sent.sum()),
        "received": int(received.sum()),
        "unknown": n - int(sent.sum()),
        "send_s": send_s,
        "cpu_s": cpu_s,
        "faults": dict(engine.faults),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
