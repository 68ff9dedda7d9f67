"""`faultline export`: what the store holds, as Parquet or CSV."""

import re
from pathlib import Path

import click

from monitor.app.commands.common import config_option, writable
from monitor.app.errors import RunFailed
from monitor.store.export.wanted import KINDS

SPAN_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.command()
@config_option
@click.option("--what", type=click.Choice(KINDS), default="samples", show_default=True)
@click.option(
    "--from", "start", default="24h", show_default=True, help="RFC 3339, or how long ago: 30m, 24h, 7d.", metavar="TIME"
)
@click.option("--to", "end", default="0s", help="The same; without it: until now.", metavar="TIME")
@click.option("--line", "lines", multiple=True, metavar="LINE_ID", help="Only this line; may be repeated.")
@click.argument("out", type=click.Path(path_type=Path))
def export(config: Path, what: str, start: str, end: str, lines: tuple[str, ...], out: Path) -> int:
    """Write OUT (.parquet, .csv or .csv.gz) while the daemon runs.

    samples can be given to `faultline replay --observations`; targets are probed elements, references and resolvers;
    values is the routers' telemetry.
    """
    from monitor.app.settings import load_settings
    from monitor.clock import SystemClock
    from monitor.store.export import Wanted
    from monitor.store.export import export as write
    from monitor.store.problems import StoreProblem

    settings = load_settings(config).store
    now_ns = SystemClock().now_ns()
    wanted = Wanted(what, _time(start, "--from", now_ns), _time(end, "--to", now_ns), lines)
    if wanted.start_ns >= wanted.end_ns:
        raise click.UsageError(f"--from {start} is not before --to {end}")
    writable(out)
    try:
        rows = write(settings, wanted, out)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except StoreProblem as error:
        raise RunFailed(f"nothing was exported: {error}") from None
    click.echo(f"{out}: {rows} rows")
    return 0


def _time(text: str, option: str, now_ns: int) -> int:
    from monitor.clock import NS, parse_time

    if ago := re.fullmatch(r"(\d+)([smhd])", text):
        return now_ns - int(ago[1]) * SPAN_S[ago[2]] * NS
    try:
        return parse_time(text)
    except ValueError as error:
        raise click.UsageError(f"{option} {text}: {error}; or give how long ago, as 24h or 7d") from None
