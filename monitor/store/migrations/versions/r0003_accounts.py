"""Local accounts, and the regions that a key or an account may see; the region of a report."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("regions", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=True),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("disabled_ns", sa.BigInteger(), nullable=True),
        sa.Column("last_login_ns", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("ix_users_external", "users", ["external_id"], unique=True)
    op.add_column("api_keys", sa.Column("regions", sa.Text(), nullable=False, server_default=""))
    op.add_column("sessions", sa.Column("user_name", sa.String(), nullable=False, server_default=""))
    op.create_index("ix_sessions_user", "sessions", ["user_name"], unique=False)
    op.add_column("calls", sa.Column("region", sa.String(), nullable=False, server_default=""))
    op.create_index("ix_calls_region", "calls", ["region"], unique=False)
