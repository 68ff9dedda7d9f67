"""`faultline lookup` and `faultline incidents`: for those who live in a terminal."""

import os
import sys

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
