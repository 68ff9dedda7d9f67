"""`faultline backup` and `faultline restore`: the store's folder as one archive, while the daemon runs, and back."""

from pathlib import Path

import click

from monitor.app.commands.common import config_option, writable
from monitor.app.errors import RunFailed


@click.command()
@config_option
@click.argument("archive", type=click.Path(path_type=Path))
def backup(config: Path, archive: Path) -> int:
    """Copy everything the daemon keeps into ARCHIVE (.tar, or .tar.gz) while it runs.

    Configuration and inventory are yours already and are not in it. SQL state in PostgreSQL is not in it either: back
    that up with pg_dump, before this.
    """
    from monitor.app.settings import load_settings
    from monitor.clock import SystemClock, rfc3339
    from monitor.store.backup import backup as make
    from monitor.store.problems import StoreProblem

    settings = load_settings(config).store
    writable(archive)
    with _progress() as progress:
        try:
            manifest = make(settings, archive, rfc3339(SystemClock().now_ns()), progress)
        except (StoreProblem, OSError) as error:
            raise RunFailed(f"no backup was made: {error}") from None
    size = sum(entry.bytes for entry in manifest.files.values())
    click.echo(f"{archive}: {len(manifest.files)} files, {size / 1e6:.1f} MB")
    if manifest.state != "sqlite":
        click.echo("The SQL state is in another database and not in this archive: keep a dump of it too.", err=True)
    return 0


@click.command()
@config_option
@click.argument("archive", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def restore(config: Path, archive: Path) -> int:
    """Put ARCHIVE in the place of store.folder's content. The daemon must not run; what was there is set aside."""
    from monitor.app.settings import load_settings
    from monitor.clock import SystemClock, rfc3339
    from monitor.store.problems import StoreLocked, StoreProblem
    from monitor.store.restore import restore as put_back

    settings = load_settings(config).store
    stamp = rfc3339(SystemClock().now_ns())[:19].replace("-", "").replace(":", "")
    with _progress() as progress:
        try:
            manifest, kept = put_back(settings, archive, stamp, progress)
        except StoreLocked as error:
            raise RunFailed(f"nothing was restored: {error}") from None
        except StoreProblem as error:
            raise click.UsageError(str(error)) from None
    click.echo(f"{settings.folder}: {len(manifest.files)} files as of {manifest.made_at}")
    if kept is not None:
        click.echo(f"What was there before is in {kept}: remove it when all is well.")
    return 0


class _progress:  # noqa: N801  # used like a function
    """Counts files on a terminal; quiet in a pipe."""

    def __enter__(self):  # type: ignore[no-untyped-def]
        from rich.console import Console
        from rich.status import Status

        self._console = Console(stderr=True)
        self._status = Status("", console=self._console) if self._console.is_terminal else None
        if self._status:
            self._status.start()
        self._files = self._bytes = 0
        return self._tell

    def _tell(self, name: str, size: int) -> None:
        self._files, self._bytes = self._files + 1, self._bytes + size
        if self._status:
            self._status.update(f"{self._files} files, {self._bytes / 1e6:,.0f} MB  {name}")

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()
