"""`faultline check`: is the configuration right, and does everything it names answer?"""

from pathlib import Path

import click

from monitor.app.commands.common import config_option, json_option


@click.command()
@config_option
@json_option
def check(config: Path, as_json: bool) -> int:
    """Validate configuration and inventory, reach every configured server, and say how to mend what is wrong."""
    import asyncio
    import json

    from monitor.app.checks import run_checks
    from monitor.app.settings import load_settings

    results = asyncio.run(run_checks(load_settings(config)))
    for result in results:
        if as_json:
            click.echo(json.dumps({"what": result.what, "ok": result.ok, "text": result.text}))
        else:
            click.echo(f"{'ok ' if result.ok else 'BAD'}  {result.what}: {result.text}")
    return 0 if all(result.ok for result in results) else 1
