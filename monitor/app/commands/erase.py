"""`faultline erase`: forget what a customer said and was shown, when the law or the customer asks for it."""

from pathlib import Path

import click

from monitor.app.commands.common import config_option
from monitor.app.commands.user import open_state


@click.command()
@config_option
@click.argument("line_ids", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(config: Path, line_ids: tuple[str, ...], yes: bool) -> int:
    """Erase the reports of these lines: the customer's words, the frozen verdicts, and who took them.

    Address and name stand in the inventory only: take them out of its file and reload. Round-trip times expire by
    themselves (store.sample_days). The audit trail stays, as it must: it names line ids, never a customer.
    """
    from monitor.desk import Reports

    state = open_state(config)
    reports = Reports(state)
    count = reports.count(line_ids)
    if not count:
        click.echo("no reports of these lines")
        return 0
    if not yes:
        click.confirm(f"erase {count} reports of {', '.join(line_ids)}?", abort=True)
    erased = reports.erase(line_ids)
    for line_id in line_ids:
        state.audit("faultline erase", "erase", line_id)
    click.echo(f"{erased} reports erased")
    return 0
