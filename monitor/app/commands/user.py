"""`faultline user`: local accounts of people, made on the machine that has the store."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from monitor.app.commands.common import config_option, json_option
from monitor.clock import rfc3339

if TYPE_CHECKING:
    from monitor.store.state import StateStore

ROLES = ("agent", "lead", "noc", "admin")
role_option = click.Choice(ROLES)
region_option = click.option(
    "--region", "regions", multiple=True, help="Sees only this region (first element of the path); may be repeated."
)
stdin_option = click.option("--password-stdin", "from_stdin", is_flag=True, help="Read the password from stdin.")


def open_state(config: Path) -> "StateStore":
    """Raises UsageError when the store cannot be opened."""
    from monitor.app.settings import load_settings
    from monitor.store.problems import StoreProblem
    from monitor.store.state import StateStore

    try:
        return StateStore.open(load_settings(config).store)
    except StoreProblem as problem:
        raise click.ClickException(str(problem)) from None


def fitting(role: str, regions: tuple[str, ...]) -> None:
    if role == "admin" and regions:
        raise click.UsageError("an administrator sees every region: leave --region out, or give another role")


@click.group()
def user() -> None:
    """Accounts of people: create, list, password, change, disable, enable, delete."""


@user.command()
@config_option
@click.argument("name")
@click.option("--role", type=role_option, default="agent", show_default=True)
@region_option
@stdin_option
def create(config: Path, name: str, role: str, regions: tuple[str, ...], from_stdin: bool) -> None:
    """Make an account; the password is asked for twice, or read from stdin."""
    fitting(role, regions)
    state = open_state(config)
    if state.user(name) is not None:
        raise click.UsageError(f"there is an account {name!r} already; see: faultline user list")
    try:
        state.create_user(name, role, _password(from_stdin), regions)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    state.audit("faultline user", "user_create", name, role)
    click.echo(f"{name} created as {role}")


@user.command(name="list")
@config_option
@json_option
def list_users(config: Path, as_json: bool) -> None:
    """Every account, disabled ones too."""
    for one in open_state(config).list_users():
        if as_json:
            click.echo(msgspec.json.encode(one))
            continue
        status = "disabled" if one.disabled_ns else "active"
        seen = f"last login {rfc3339(one.last_login_ns)}" if one.last_login_ns else "never logged in"
        where = ",".join(one.regions) or "all regions"
        click.echo(f"{one.name}  {one.role}  {status}  {seen}  {where}")


@user.command()
@config_option
@click.argument("name")
@stdin_option
def password(config: Path, name: str, from_stdin: bool) -> None:
    """Set a new password; it ends the sessions of the account."""
    state = _known(config, name)
    try:
        state.change_user(name, password=_password(from_stdin))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    state.audit("faultline user", "user_change", name, "password")
    click.echo(f"{name}: password set")


@user.command()
@config_option
@click.argument("name")
@click.option("--role", type=role_option)
@region_option
@click.option("--all-regions", is_flag=True, help="Sees every region again.")
def change(config: Path, name: str, role: str | None, regions: tuple[str, ...], all_regions: bool) -> None:
    """Change role or regions; sessions go on with what is then allowed."""
    if all_regions and regions:
        raise click.UsageError("give --region or --all-regions, not both")
    state = _known(config, name)
    found = state.user(name)
    wanted = regions or (() if all_regions or found is None else found.regions)
    fitting(role or (found.role if found else ""), wanted)
    state.change_user(name, role=role, regions=wanted)
    state.audit("faultline user", "user_change", name, f"{role or ''} {','.join(wanted)}".strip())
    click.echo(f"{name} changed")


@user.command()
@config_option
@click.argument("name")
def disable(config: Path, name: str) -> None:
    """Lock an account and end its sessions."""
    state = _known(config, name)
    state.change_user(name, disabled=True)
    state.audit("faultline user", "user_change", name, "disabled")
    click.echo(f"{name} disabled")


@user.command()
@config_option
@click.argument("name")
def enable(config: Path, name: str) -> None:
    """Unlock an account."""
    state = _known(config, name)
    state.change_user(name, disabled=False)
    state.audit("faultline user", "user_change", name, "enabled")
    click.echo(f"{name} enabled")


@user.command()
@config_option
@click.argument("name")
def delete(config: Path, name: str) -> None:
    """Remove an account and end its sessions; the audit trail keeps what it did."""
    state = _known(config, name)
    state.delete_user(name)
    state.audit("faultline user", "user_delete", name)
    click.echo(f"{name} deleted")


def _known(config: Path, name: str) -> "StateStore":
    state = open_state(config)
    if state.user(name) is None:
        raise click.UsageError(f"there is no account {name!r}; see: faultline user list")
    return state


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return typed
