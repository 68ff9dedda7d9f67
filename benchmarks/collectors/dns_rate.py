"""What asking resolvers costs, and how honest the latency is: 1,000 questions a second against Debian's unbound.

Our asker is paced at `--rate` for `--seconds`, alternating with dnsperf (Debian's package; left out if it is not
there) at the same rate against the same server. Shown: CPU seconds per 1,000 questions (as a share of one core at
1,000 a second), latency median and 99th percentile in ms, and what was lost.
`python benchmarks/collectors/dns_rate.py [--rate Q] [--seconds S] [--rounds N]`
"""

import argparse
import asyncio
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from collectors.dns.ask import Asker
from collectors.dns.question import Answer, Outcome, Question
from collectors.dns.settings import NameSettings
from monitor.lab.servers import Unbound

NAMES = 1000


async def ours(port: int, rate: int, seconds: float, fresh: int) -> tuple[float, list[Answer]]:
    """CPU seconds used and the answers. A fresh socket every `fresh` questions, as each round has one."""
    questions = [Question(NameSettings(f"n{i}.example", expect=(f"192.0.2.{i % 250}",))) for i in range(NAMES)]
    answers: list[Answer] = []
    cpu, begin, asked = time.process_time(), time.perf_counter(), 0
    total = int(rate * seconds)

    async def one_round(count: int, first: int) -> None:
        async with Asker("127.0.0.1", port) as asker:
            tasks = []
            for number in range(count):
                due = begin + (first + number) / rate
                if (wait := due - time.perf_counter()) > 0.001:
                    await asyncio.sleep(wait)
                tasks.append(asyncio.ensure_future(asker.ask(questions[(first + number) % NAMES], 2.0)))
            answers.extend(await asyncio.gather(*tasks))

    while asked < total:
        await one_round(min(fresh, total - asked), asked)
        asked += fresh
    return time.process_time() - cpu, answers


def dnsperf(port: int, rate: int, seconds: float, names: Path) -> tuple[float, float, float, int]:
    """CPU seconds, latency median (ms), 99th percentile (ms) and lost, from dnsperf's own per-query log."""
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = ["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", str(names), "-l", f"{seconds:g}", "-Q", str(rate)]
    done = subprocess.run(
        [*command, "-q", "64", "-c", "1", "-T", "1", "-v"], capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = [float(x) * 1e3 for x in re.findall(r"^> NOERROR \S+ \S+ ([\d.]+)", done.stdout, re.MULTILINE)]
    lost = re.search(r"Queries lost:\s+(\d+)", done.stdout)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    p50, p99 = np.percentile(took, [50, 99]) if took else (float("nan"), float("nan"))
    return cpu, float(p50), float(p99), int(lost[1]) if lost else -1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    records = [f"n{i}.example. 60 IN A 192.0.2.{i % 250}" for i in range(NAMES)]
    rows: dict[str, list[tuple[float, float, float, int]]] = {"ours": [], "dnsperf": []}
    with tempfile.TemporaryDirectory() as folder, Unbound(Path(folder), records=records) as server:
        names = Path(folder) / "names"
        names.write_text("".join(f"n{i}.example A\n" for i in range(NAMES)))
        for _ in range(args.rounds):
            cpu, answers = asyncio.run(ours(server.port, args.rate, args.seconds, fresh=50))
            took = [a.rtt_ms for a in answers if a.outcome is Outcome.OK]
            p50, p99 = np.percentile(took, [50, 99])
            rows["ours"].append((cpu, float(p50), float(p99), len(answers) - len(took)))
            if shutil.which("dnsperf"):
                rows["dnsperf"].append(dnsperf(server.port, args.rate, args.seconds, names))
    asked = args.rate * args.seconds
    print(f"{args.rate} questions a second for {args.seconds:g} s, median of {args.rounds} interleaved rounds")
    print("| asker | CPU s per 1,000 | median ms | 99 % ms | not answered |")
    print("|---|---|---|---|---|")
    for name, runs in rows.items():
        if runs:
            cpu, p50, p99, lost = (float(np.median(column)) for column in zip(*runs, strict=True))
            print(f"| {name} | {cpu / asked * 1000:.3f} | {p50:.2f} | {p99:.2f} | {lost:.0f} |")


if __name__ == "__main__":
    main()
