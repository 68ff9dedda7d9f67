"""`faultline run`: the daemon."""

from pathlib import Path

import click

from monitor.app.commands.common import config_option


@click.command()
@config_option
@click.option(
    "--prober",
    default="",
    metavar="NAME",
    help="Only probe, as this one of [probers] names, and send the rounds to the daemon at probers.url.",
)
def run(config: Path, prober: str) -> None:
    """Probe, correlate, alert and answer until told to stop (SIGTERM, Ctrl-C); SIGHUP reloads the inventory."""
    import asyncio
    import logging
    import os
    import sys

    from monitor.api import ListenProblem
    from monitor.app import secrets
    from monitor.app.errors import RunFailed
    from monitor.app.settings import load_settings
    from monitor.store.problems import StoreProblem

    settings = load_settings(config)
    secrets.require(settings, prober)
    logging.basicConfig(
        level=settings.daemon.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for noisy in ("apscheduler", "httpx", "slack_sdk", "Rx", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)

    if prober:
        from monitor.app.prober import run_prober

        sys.exit(asyncio.run(run_prober(settings, prober)))

    from monitor.app.daemon import run_daemon

    try:
        code = asyncio.run(run_daemon(settings))
    except (StoreProblem, ListenProblem) as error:
        raise RunFailed(str(error)) from None
    # Everything is closed and on disk. DuckDB's binding would now report its own types as leaked, line after line.
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
