"""`faultline explain`: which attribute values explain the failures in a table."""

import json
from pathlib import Path

import click

from monitor.app.commands.common import json_option


@click.command()
@click.argument("table", type=click.Path(path_type=Path), metavar="TABLE.csv")
@click.option("--at", metavar="TIME", help="Rows before it are the background (epoch seconds or RFC 3339).")
@json_option
def explain(table: Path, at: str | None, as_json: bool) -> None:
    """Which attribute values explain the failures: columns bad and total, any others are attributes.

    Ranked causes, best first; only those that pay for themselves. Nothing at all when none does.
    """
    from correlation.attributes import explain_table
    from monitor.app.explain_table import read_table
    from monitor.clock import parse_time

    try:
        at_ns = None if at is None else parse_time(at)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--at") from None
    causes = explain_table(read_table(table, at_ns))
    for cause in causes:
        if as_json:
            row = {
                "cause": cause.cause,
                "bad": _number(cause.bad),
                "total": _number(cause.total),
                "background_ratio": float(f"{cause.background_ratio:.6g}"),
                "score": round(cause.score, 3),
                "confidence": round(cause.confidence, 4),
            }
            click.echo(json.dumps(row, ensure_ascii=False))
        else:
            named = " and ".join(f"{name} {value}" for name, value in cause.cause.items())
            share = f"{cause.bad / cause.total:.1%}, usual would be {cause.background_ratio:.2%}"
            sure = f"score {cause.score:.0f}, confidence {cause.confidence:.2f}"
            click.echo(f"{named}: {_number(cause.bad)} of {_number(cause.total)} bad ({share}), {sure}")
    if not causes and not as_json:
        click.echo("no attribute explains the failures", err=True)


def _number(value: float) -> int | float:
    """Whole numbers without a point; weights stay as they are."""
    return int(value) if value == int(value) else round(value, 6)
