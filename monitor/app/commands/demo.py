"""`faultline demo`."""

from pathlib import Path

import click


@click.command()
@click.option("--lines", type=click.IntRange(500, 200_000), default=5000, show_default=True)
@click.option("--minutes", type=click.FloatRange(3.0, 600.0), default=5.0, show_default=True)
@click.option("--simulated", is_flag=True, help="Simulated lines, also where real ICMP would be possible.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Of API and page; 0: any free."
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the table as JSON too."
)
def demo(lines: int, minutes: float, simulated: bool, port: int, json_file: Path | None) -> int:
    """The main job on a virtual provider: faults are injected, found and named.

    Real ICMP in network namespaces as root on Linux, else simulated lines. Exits 0 only if every fault was found with
    its scope and nothing else was blamed.
    """
    import asyncio
    import json

    from monitor.app.commands.common import writable
    from monitor.app.demo.runner import run_demo

    if json_file is not None:
        writable(json_file)
    try:
        report = asyncio.run(run_demo(lines, minutes, simulated, port, click.echo))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    click.echo("\n" + report.as_text())
    if json_file is not None:
        json_file.write_text(json.dumps(report.as_json(), indent=2) + "\n")
    return 0 if report.ok else 1
