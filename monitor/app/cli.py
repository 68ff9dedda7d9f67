"""The command `faultline`. Each command lives in its own module and is imported only when it is called.

Exit codes: 0 success, 2 bad usage or bad input (one line on stderr), 1 failure at run time.
"""

import importlib
import sys

import click

from monitor import __version__
from monitor.app.errors import RunFailed

# command -> "module:object"; a group of commands counts as one
COMMANDS = {
    "alerts": "monitor.app.commands.alerts:alerts",
    "anomalies": "monitor.app.commands.anomalies:anomalies",
    "backup": "monitor.app.commands.backup:backup",
    "check": "monitor.app.commands.check:check",
    "cpe": "monitor.app.commands.cpe:cpe",
    "demo": "monitor.app.commands.demo:demo",
    "erase": "monitor.app.commands.erase:erase",
    "export": "monitor.app.commands.export:export",
    "explain": "monitor.app.commands.explain:explain",
    "incidents": "monitor.app.commands.ask:incidents",
    "key": "monitor.app.commands.key:key",
    "lookup": "monitor.app.commands.ask:lookup",
    "probe": "monitor.app.commands.probe:probe",
    "ranking": "monitor.app.commands.ask:ranking",
    "replay": "monitor.app.commands.lab:replay",
    "restore": "monitor.app.commands.backup:restore",
    "run": "monitor.app.commands.run:run",
    "score": "monitor.app.commands.lab:score",
    "simulate": "monitor.app.commands.lab:simulate",
    "user": "monitor.app.commands.user:user",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="faultline")
def faultline() -> None:
    """Finds out which piece of an access network has failed, and tells the helpdesk."""


def main() -> None:
    sys.exit(run())


def run(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code. Nothing a user can do wrong ends in a traceback."""
    from monitor.inventory.problems import InputProblems
    from monitor.secret import SecretProblem

    try:
        result = faultline.main(args=arguments, prog_name="faultline", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "faultline"
        hint = f" (see {where} --help)" if isinstance(error, click.UsageError) else ""
        _say(f"{where}: {error.format_message()}{hint}")
        return error.exit_code if isinstance(error, click.UsageError) else 1
    except (InputProblems, SecretProblem) as error:
        _say(str(error))
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except RunFailed as error:
        _say(str(error))
        return 1
    return result if isinstance(result, int) else 0


def _say(text: str) -> None:
    click.echo(" ".join(text.splitlines()), err=True)
