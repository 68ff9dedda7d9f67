"""`faultline anomalies`: level shifts and unstable stretches of one line's round trips, decided causally."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.app.commands.common import json_option

if TYPE_CHECKING:
    from correlation.baselines.series import SeriesChange

PathType = click.Path(path_type=Path)


@click.command()
@click.argument("series", type=PathType, metavar="SERIES.csv")
@json_option
@click.option("--out", type=PathType, metavar="FILE", help="Write JSON lines to FILE.")
def anomalies(series: Path, as_json: bool, out: Path | None) -> None:
    """Find level shifts and unstable stretches in one line's RTT series.

    SERIES.csv holds a header row, then time (epoch seconds or a date-time) and RTT in ms, with ; or , between; empty
    or 0 is a lost probe. `index` is the first row (from 0) of the new regime, `decided_index` the row at which it was
    known.
    """
    from correlation.baselines.series import changes
    from monitor.app.commands.common import writable
    from monitor.app.series_file import read_series
    from monitor.clock import rfc3339

    if out is not None:
        writable(out)
    data = read_series(series)
    if data.backwards:
        click.echo(f"{series}: {data.backwards} rows are older than the row before; taken as they stand", err=True)
    if data.absurd:
        click.echo(f"{series}: {data.absurd} round trips below 0 or above a minute count as lost", err=True)
    found = [(change, rfc3339(int(data.at_ns[change.index]))) for change in changes(data.rtt_ms)]
    if out is not None:
        out.write_text("".join(_json(change, at) + "\n" for change, at in found), encoding="utf-8")
    if as_json:
        sys.stdout.writelines(_json(change, at) + "\n" for change, at in found)
    elif out is None:
        click.echo(f"{'at':25}{'kind':10}{'index':>7}{'decided':>9}{'before ms':>11}{'after ms':>11}{'score':>8}")
        for change, at in found:
            before, after = _ms(change.before_ms), _ms(change.after_ms)
            where = f"{change.index:>7}{change.decided_index:>9}"
            click.echo(f"{at:25}{change.kind:10}{where}{before:>11}{after:>11}{change.score:>8.1f}")


def _json(change: "SeriesChange", at: str) -> str:
    return json.dumps(
        {
            "kind": change.kind,
            "index": change.index,
            "decided_index": change.decided_index,
            "at": at,
            "before_ms": change.before_ms,
            "after_ms": change.after_ms,
            "score": change.score,
        }
    )


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
