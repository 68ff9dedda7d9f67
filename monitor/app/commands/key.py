"""`faultline key`: API keys, made on the machine that has the store."""

from pathlib import Path

import click
import msgspec

from monitor.app.commands.common import config_option, json_option
from monitor.app.commands.user import fitting, open_state, region_option
from monitor.clock import NS, SystemClock, rfc3339

ROLES = ("agent", "lead", "noc", "admin", "probe")


@click.group()
def key() -> None:
    """Keys for the API and the page: create, list, revoke."""


@key.command()
@config_option
@click.option("--name", required=True, help="Whose key it is, as the audit trail will name it.")
@click.option("--role", type=click.Choice(ROLES), default="agent", show_default=True)
@click.option("--days", type=click.IntRange(1, 3650), help="Valid for so many days; without it: until revoked.")
@region_option
def create(config: Path, name: str, role: str, days: int | None, regions: tuple[str, ...]) -> None:
    """Make a key and print it, once: only its hash is kept."""
    if not name.isprintable():
        raise click.UsageError("--name holds characters that cannot be printed")
    if not name.strip():
        raise click.UsageError("--name is empty: the audit trail needs to know whose key it is")
    fitting(role, regions)
    expires = SystemClock().now_ns() + days * 86400 * NS if days else None
    made = open_state(config).create_key(name, role, expires, regions)
    click.echo(made.text)


@key.command(name="list")
@config_option
@json_option
def list_keys(config: Path, as_json: bool) -> None:
    """Every key, revoked ones too; never its secret."""
    for one in open_state(config).list_keys():
        if as_json:
            click.echo(msgspec.json.encode(one))
            continue
        state = "revoked" if one.revoked_ns else f"until {rfc3339(one.expires_ns)}" if one.expires_ns else "valid"
        used = f"last used {rfc3339(one.last_used_ns)}" if one.last_used_ns else "never used"
        click.echo(f"{one.key_id}  {one.role:6}  {state}  {used}  {','.join(one.regions) or 'all regions'}  {one.name}")


@key.command()
@config_option
@click.argument("key_id")
def revoke(config: Path, key_id: str) -> int:
    """End a key and the sessions made with it, at once."""
    if not open_state(config).revoke_key(key_id):
        raise click.UsageError(f"there is no key {key_id!r}, or it was revoked before; see: faultline key list")
    click.echo(f"{key_id} revoked")
    return 0
