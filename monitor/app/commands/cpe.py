"""`faultline cpe`: list routers, read and change what they say of themselves (USP), and watch them."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from monitor.app.commands.common import config_option, json_option
from monitor.app.errors import RunFailed

if TYPE_CHECKING:
    from collectors.cpe.frames import Inbound
    from collectors.cpe.oneshot import Agent, OneShot
    from monitor.app.settings import Settings
    from monitor.inventory import Inventory

T = TypeVar("T")
timeout_option = click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0.1, 300), default=5.0, show_default=True, help="Seconds to wait."
)
key_argument = click.argument("key", metavar="ENDPOINT")


@click.group()
def cpe() -> None:
    """Routers: list, get, set, operate, watch. ENDPOINT is an endpoint id, a serial number or a line id."""


@cpe.command(name="list")
@config_option
@json_option
@timeout_option
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=10_000, show_default=True, help="Ask at most so many."
)
@click.option("--all", "everyone", is_flag=True, help="Those that say nothing, too.")
@click.argument("text", default="")
def list_command(config: Path, as_json: bool, timeout_s: float, limit: int, everyone: bool, text: str) -> None:
    """Which routers are there: those the broker knows online or offline, and USP agents that answer now.

    With TEXT only those whose line, serial or endpoint holds it.
    """
    from monitor.app.cpe_listing import list_routers

    settings, inventory = _load(config)
    rows, left_out = _run(list_routers(_one_shot(settings), inventory, text, limit, timeout_s))
    for row in rows:
        if row.state == "silent" and not everyone:
            continue
        if as_json:
            click.echo(msgspec.json.encode(row))
        else:
            click.echo(
                f"{row.line_id:10} {row.serial:16} {row.state:8} {row.model} {row.firmware} {row.endpoint}".rstrip()
            )
    if left_out:
        click.echo(f"{left_out} more were not asked: narrow it by TEXT, or raise --limit", err=True)


@cpe.command()
@config_option
@json_option
@timeout_option
@key_argument
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
def get(config: Path, as_json: bool, timeout_s: float, key: str, paths: tuple[str, ...]) -> int:
    """Read parameters: full paths, objects (ending in "."), or with * for instances. Secrets are hidden."""
    from collectors.cpe.redact import printable, shown
    from collectors.cpe.usp import calls

    async def work(shot: "OneShot", agent: "Agent") -> int:
        answer = await shot.ask(agent, calls.get(paths), timeout_s)
        wrong = 0
        values: dict[str, str] = {}
        for result in answer.get_resp.req_path_results if answer.get_resp else ():
            if result.err_code:
                wrong += 1
                click.echo(printable(f"{result.requested_path}: {result.err_code} {result.err_msg}"), err=True)
            for resolved in result.resolved_path_results:
                for name, value in resolved.result_params.items():
                    values[resolved.resolved_path + name] = shown(name, value)
        if as_json:
            click.echo(msgspec.json.encode(values))
        else:
            for path, value in values.items():
                click.echo(f"{printable(path)} {value}")
        return 1 if wrong else 0

    return _with_agent(config, key, work)


@cpe.command(name="set")
@config_option
@timeout_option
@key_argument
@click.argument("assignments", metavar="PATH=VALUE...", nargs=-1, required=True)
def set_command(config: Path, timeout_s: float, key: str, assignments: tuple[str, ...]) -> int:
    """Change parameters, all or none. PATH=- reads the value from standard input, for secrets."""
    from collectors.cpe.asking import AgentError
    from collectors.cpe.redact import HIDDEN, is_secret, printable, shown
    from collectors.cpe.usp import calls

    objects: dict[str, dict[str, str]] = {}
    secrets: list[str] = []
    for path, value in _assignments(assignments):
        if value and is_secret(path):
            secrets.append(value)
        parent, _, name = path.rpartition(".")
        if not parent or not name:
            raise click.UsageError(f"{path!r} is no parameter: write Device.Object.Parameter=VALUE")
        objects.setdefault(parent + ".", {})[name] = value

    def told(text: str) -> str:
        """What a router says of it: agents repeat what they refuse."""
        for secret in secrets:
            text = text.replace(secret, HIDDEN)
        return printable(text)

    async def work(shot: "OneShot", agent: "Agent") -> int:
        try:
            answer = await shot.ask(agent, calls.set_(objects.items()), timeout_s)
        except AgentError as error:
            raise AgentError(error.code, told(error.text), [(p, c, told(t)) for p, c, t in error.wrong]) from None
        wrong = 0
        for result in answer.set_resp.updated_obj_results if answer.set_resp else ():
            status = result.oper_status
            if status is not None and status.oper_failure is not None:
                wrong += 1
                failure = status.oper_failure
                click.echo(told(f"{result.requested_path}: {failure.err_code} {failure.err_msg}"), err=True)
            for updated in status.oper_success.updated_inst_results if status and status.oper_success else ():
                for name, value in updated.updated_params.items():
                    click.echo(f"{printable(updated.affected_path + name)} {shown(name, value)}")
                for bad in updated.param_errs:
                    wrong += 1
                    click.echo(told(f"{updated.affected_path}{bad.param}: {bad.err_code} {bad.err_msg}"), err=True)
        return 1 if wrong else 0

    return _with_agent(config, key, work, audit=("cpe_set", " ".join(p + n for p, v in objects.items() for n in v)))


@cpe.command()
@config_option
@timeout_option
@click.option("--wait", "wait_s", type=click.FloatRange(0, 3600), default=60.0, show_default=True,
              help="Seconds to wait for a result that takes longer, or for the boot; 0: none.")  # fmt: skip
@key_argument
@click.argument("command")
@click.argument("arguments", metavar="[NAME=VALUE]...", nargs=-1)
def operate(config: Path, timeout_s: float, wait_s: float, key: str, command: str, arguments: tuple[str, ...]) -> int:
    """Run a command, as Device.Reboot() or Device.IP.Diagnostics.IPPing() Host=192.0.2.1, and wait for its result."""
    from monitor.app.cpe_operating import operate as run_operation

    given = dict(_assignments(arguments))
    if not command.endswith(")"):
        command += "()"

    async def work(shot: "OneShot", agent: "Agent") -> int:
        return await run_operation(shot, agent, command, given, timeout_s, wait_s, click.echo)

    return _with_agent(config, key, work, audit=("cpe_operate", command), follow=True)


@cpe.command()
@config_option
@click.option("--seconds", type=click.FloatRange(0.1, 86400), default=None, help="End after this time.")
@click.argument("key", metavar="[ENDPOINT]", default="")
def watch(config: Path, seconds: float | None, key: str) -> None:
    """Show what routers say, as it comes: state, reports, USP notifications. Secrets are hidden; Ctrl-C ends it."""
    from collectors.cpe.topics import REPLY_TO
    from monitor.app.cpe_watching import describe

    settings, inventory = _load(config)
    serial = _agent(inventory, key).serial if key else "+"
    shot = _one_shot(settings)

    async def work() -> None:
        usp = settings.cpe.usp.controller_topic
        topics = [f"{settings.cpe.prefix}/{serial}/#", f"{usp}/{serial}", f"{usp}/{serial}/+"]
        if settings.cpe.collectd_prefix:
            topics.append(f"{settings.cpe.collectd_prefix}/{serial}/#")
        unread = asyncio.Event()

        def show(message: "Inbound") -> None:
            try:
                click.echo(describe(message, settings.cpe, REPLY_TO))
            except BrokenPipeError:
                unread.set()  # whoever read our output (head, grep -m) has seen enough

        shot.listeners.append(show)
        async with shot.connected(topics):
            lost, enough = asyncio.ensure_future(shot.lost()), asyncio.ensure_future(unread.wait())
            try:
                async with asyncio.timeout(seconds):
                    await asyncio.wait([lost, enough], return_when=asyncio.FIRST_COMPLETED)
                if lost.done():
                    lost.result()
            finally:
                lost.cancel()
                enough.cancel()
        if unread.is_set():
            raise BrokenPipeError

    _run(work())


# -- within -----------------------------------------------------------------------------------------------------------


def _load(config: Path) -> "tuple[Settings, Inventory]":
    from monitor.app import inventory_files
    from monitor.app.settings import load_settings

    settings = load_settings(config)
    return settings, inventory_files.load(settings.inventory, 1)


def _one_shot(settings: "Settings") -> "OneShot":
    from collectors.cpe.oneshot import OneShot

    try:
        return OneShot(settings.cpe)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _agent(inventory: "Inventory", key: str) -> "Agent":
    from collectors.cpe.oneshot import Agent
    from collectors.cpe.usp.calls import is_endpoint

    rows = sorted({match.row for match in inventory.find(key)})
    if not rows and is_endpoint(key):  # not written in the inventory: its serial may be
        rows = inventory.by_serial(key.rpartition(":")[2].rpartition("-")[2])
    if len(rows) != 1:
        why = "is no line of the inventory" if not rows else f"fits {len(rows)} lines"
        raise click.UsageError(f"{key!r} {why}: give an endpoint id, a serial number or a line id")
    line = inventory.line(rows[0])
    if not line.cpe_serial:
        raise click.UsageError(f"line {line.line_id} has no cpe_serial in the inventory: its topic is not known")
    return Agent(line.line_id, line.cpe_serial, line.cpe_endpoint or (key if is_endpoint(key) else ""))


def _with_agent(
    config: Path,
    key: str,
    work: "Callable[[OneShot, Agent], Awaitable[int]]",
    audit: tuple[str, str] | None = None,
    follow: bool = False,
) -> int:
    """Connect, do it, and say what went wrong in one line. `follow`: hear the router's notifications too."""
    settings, inventory = _load(config)
    if not settings.cpe.usp.enabled:
        raise click.UsageError(f"{config}: cpe.usp.enabled is false: there is no controller to ask as")
    agent = _agent(inventory, key)
    shot = _one_shot(settings)
    if audit is not None:
        _note(settings, agent, *audit)

    async def run() -> int:
        base = f"{settings.cpe.usp.controller_topic}/{agent.serial}"
        async with shot.connected([base, f"{base}/+"] if follow else []):
            return await work(shot, agent)

    return _run(run())


def _note(settings: "Settings", agent: "Agent", action: str, detail: str) -> None:
    """Who changes a customer's router stands in the audit trail, before it is done."""
    import getpass

    from monitor.store.state import StateStore

    state = StateStore.open(settings.store)
    try:
        state.audit(f"shell:{getpass.getuser()}", action, agent.line_id, detail)
    finally:
        state.close()


def _assignments(words: tuple[str, ...]) -> list[tuple[str, str]]:
    found = []
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise click.UsageError(f"{word!r} is not NAME=VALUE")
        if value == "-":
            value = sys.stdin.readline().rstrip("\n")
        found.append((name, value))
    return found


def _run(work: Coroutine[Any, Any, T]) -> T:
    from collectors.cpe.asking import AgentError, AgentSilent
    from collectors.cpe.oneshot import Unreachable
    from collectors.cpe.usp.wire import Malformed

    try:
        return asyncio.run(work)
    except AgentSilent as error:
        raise RunFailed(f"the router does not answer: {error}; is it online, and are we its controller?") from None
    except AgentError as error:
        details = "; ".join(f"{path}: {code} {text}" for path, code, text in error.wrong)
        raise RunFailed(f"the router refuses: {error}{f' ({details})' if details else ''}") from None
    except (Unreachable, Malformed) as error:
        raise RunFailed(str(error)) from None
    except TimeoutError:
        raise click.exceptions.Exit(0) from None  # watch --seconds
