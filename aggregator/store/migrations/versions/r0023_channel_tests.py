"""The last test alert of each channel."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
oldest_program = "0.3.0"


def upgrade() -> None:
    op.create_table(
        "channel_tests",
        sa.Column("channel", sa.Text(), primary_key=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("answers", sa.Text(), nullable=False),
    )
