"""`faultline lookup`, `faultline incidents` and `faultline ranking`: for those who live in a terminal."""

import os
import sys
from typing import Literal

import click

from monitor.app.commands.common import json_option, server_options

language_option = click.option("--language", type=click.Choice(["de", "en"]), default="en", show_default=True)


@click.command()
@server_options
@json_option
@language_option
@click.argument("key")
def lookup(url: str, as_json: bool, language: str, key: str) -> int:
    """The verdict for one line by line id, customer id, phone, address or IP, as an agent sees it."""
    from monitor.api.client import lookup as run

    return run(key, url, os.environ.get("FAULTLINE_KEY", ""), sys.stdout, sys.stderr, as_json, language)


@click.command()
@server_options
@json_option
@language_option
@click.option("--follow", is_flag=True, help="Go on with every change as it comes, until Ctrl-C.")
def incidents(url: str, as_json: bool, language: str, follow: bool) -> int:
    """Open incidents."""
    from monitor.api.client import incidents as run

    return run(url, os.environ.get("FAULTLINE_KEY", ""), sys.stdout, sys.stderr, follow, as_json, language)


@click.command()
@server_options
@json_option
@language_option
@click.option("--element", default="", metavar="PATH", help="Only lines under this element.")
@click.option("--limit", type=click.IntRange(1, 5000), default=50, show_default=True, help="So many lines at most.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV instead of text.")
def ranking(url: str, as_json: bool, language: str, element: str, limit: int, as_csv: bool) -> int:
    """The lines most likely to call within a week, most likely first (made once a day)."""
    from monitor.api.client_ranking import ranking as run

    if as_json and as_csv:
        raise click.UsageError("give --json or --csv, not both")
    how: Literal["text", "json", "csv"] = "json" if as_json else "csv" if as_csv else "text"
    return run(url, os.environ.get("FAULTLINE_KEY", ""), sys.stdout, sys.stderr, element, limit, how, language)
