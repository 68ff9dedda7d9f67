"""Brings the schema up to date with Alembic, from the migrations that lie in this package."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from monitor.store.problems import StoreProblem

FOLDER = Path(__file__).with_name("migrations")


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration without a file; `connection` is what env.py runs on."""
    made = Config()
    made.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def upgrade(connection: Connection, name: str) -> None:
    """To the newest version, inside the caller's transaction. Raises StoreProblem when the schema is newer still."""
    made = config(connection)
    found = connection.dialect.has_table(connection, "alembic_version") and connection.scalar(
        text("SELECT version_num FROM alembic_version")
    )
    known = {script.revision for script in ScriptDirectory.from_config(made).walk_revisions()}
    if found and found not in known:
        raise StoreProblem(
            f"{name} was written by a newer Faultline (schema {found}): run that version, or restore an older backup"
        )
    command.upgrade(made, "head")
