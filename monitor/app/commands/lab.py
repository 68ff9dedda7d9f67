"""`faultline simulate`, `replay`, `score`: a network in virtual time, the engine on records, and how good it was."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import click

PathType = click.Path(path_type=Path)
Progress = Callable[[int, int], None]


def _progress(text: str) -> Progress | None:
    """A bar on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        return None
    bar: list[tuple[object, object]] = []

    def show(done: int, total: int) -> None:
        from rich.console import Console
        from rich.progress import Progress as Bar

        if not bar:
            made = Bar(console=Console(stderr=True), transient=True)
            made.start()
            bar.append((made, made.add_task(text, total=total)))
        shown, task = bar[0]
        shown.update(task, completed=done)  # type: ignore[attr-defined]
        if done >= total:
            shown.stop()  # type: ignore[attr-defined]

    return show


def _refuse(error: ValueError) -> click.UsageError:
    return click.UsageError(str(error))


@click.command()
@click.option("--scenario", default="all", show_default=True, help="A scenario's name, or all.")
@click.option("--lines", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--hours", type=click.FloatRange(0, 24 * 400, min_open=True), default=12.0, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--interval", type=click.FloatRange(1), default=60.0, show_default=True, help="Seconds between rounds.")
@click.option("--out", type=PathType, required=True, metavar="DIR")
def simulate(scenario: str, lines: int, hours: float, seed: int, interval: float, out: Path) -> None:
    """Write inventory.csv, observations.parquet, events.csv and truth.jsonl of a simulated network."""
    from monitor.inventory import InputProblems
    from monitor.lab.simulation import simulate as run

    try:
        done = run(scenario, lines, hours, seed, out, interval, progress=_progress("simulating"))
    except InputProblems:
        raise
    except ValueError as error:
        raise _refuse(error) from None
    missing = f"; no room for: {', '.join(done.missing)}" if done.missing else ""
    click.echo(
        f"{out}: {done.observations} observations, {done.events} events, {done.truths} truths{missing}", err=True
    )


@click.command()
@click.option("--inventory", type=PathType, required=True)
@click.option("--observations", type=PathType, required=True, help=".parquet, .csv or .csv.gz")
@click.option("--events", type=PathType)
@click.option("--interval", type=click.FloatRange(1), default=60.0, show_default=True, help="Seconds between rounds.")
@click.option("--out", type=PathType, required=True, help="incidents.jsonl")
@click.option("--flags", type=PathType, help="flags.jsonl")
def replay(
    inventory: Path, observations: Path, events: Path | None, interval: float, out: Path, flags: Path | None
) -> None:
    """Run the daemon's own engine over recorded data."""
    from monitor.app.commands.common import writable
    from monitor.lab.replay import replay as run

    for file in (out, flags):
        if file is not None:
            writable(file)
    done = run(inventory, observations, events, out, flags, interval, progress=_progress("replaying"))
    words = [f"{done.rows} rows, {done.events} events, {done.incidents} incidents, {done.flags} flags"]
    if done.unknown_rows:
        words.append(f"{done.unknown_rows} rows of unknown lines left out ({', '.join(done.unknown)}, ...)")
    if done.doubled_rows:
        words.append(f"{done.doubled_rows} rows were there twice")
    words += [f"{count} refused: {reason}" for reason, count in sorted(done.refused.items())]
    click.echo("; ".join(words), err=True)


@click.command()
@click.option("--truth", type=PathType, required=True)
@click.option("--incidents", type=PathType, required=True)
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
def score(truth: Path, incidents: Path, as_json: bool) -> None:
    """How good incidents are against the truth. An inventory.csv beside the truth tells which elements are alike."""
    from monitor.lab.scoring import score as run

    figures = run(truth, incidents)
    if as_json:
        click.echo(json.dumps(figures))
        return
    for name, value in figures.items():
        shown = "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
        click.echo(f"{name:32} {shown}")
