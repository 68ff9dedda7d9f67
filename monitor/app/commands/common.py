"""Options that several commands share, and how they print."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def config_option(command: F) -> F:
    """--config FILE (or FAULTLINE_CONFIG)."""
    return click.option(
        "--config",
        "config",
        required=True,
        envvar="FAULTLINE_CONFIG",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The configuration file (or FAULTLINE_CONFIG).",
    )(command)


def server_options(command: F) -> F:
    """--url URL and the key from the environment."""
    return click.option(
        "--url",
        default=lambda: os.environ.get("FAULTLINE_URL", "http://127.0.0.1:8080"),
        show_default="FAULTLINE_URL or http://127.0.0.1:8080",
        help="Where Faultline answers; the key is read from FAULTLINE_KEY.",
    )(command)


def writable(file: Path) -> None:
    """Raises UsageError when `file` could not be written at the end of a long run."""
    folder = file.absolute().parent
    if not folder.is_dir():
        raise click.UsageError(f"{file}: the folder {folder} does not exist")
    if not os.access(file if file.exists() else folder, os.W_OK) or file.is_dir():
        raise click.UsageError(f"{file}: cannot be written")


json_option = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
