"""`faultline probe`: one-shot bulk ping."""

import os

import click


@click.command()
@click.option("--count", type=int, default=1, show_default=True, help="Probes per address.")
@click.option("--rate", type=float, default=None, help="At most so many probes a second in all.")
@click.option("--timeout", type=float, default=1.0, show_default=True, help="Seconds a reply may take.")
@click.option("--ipv6", is_flag=True, help="Accept IPv6 addresses only.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line instead of text.")
@click.argument("file", metavar="FILE|-")
def probe(count: int, rate: float | None, timeout: float, ipv6: bool, as_json: bool, file: str) -> int:
    """Ping every address in FILE ("-": standard input), one a line.

    A line per target in the order of the input: address sent received loss_ratio rtt_min_ms rtt_median_ms rtt_max_ms;
    the total goes to stderr. `sent` counts probes whose fate is known. Names are not resolved.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # else numpy's linear algebra starts a thread per core
    from collectors.icmp.oneshot import DEFAULT_RATE_PPS, run_probe

    rate_pps = DEFAULT_RATE_PPS if rate is None else rate
    return run_probe(file, count=count, rate_pps=rate_pps, timeout_s=timeout, only6=ipv6, as_json=as_json)
