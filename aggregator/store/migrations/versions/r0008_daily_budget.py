"""The amount that a feed stored today, and whether its hub leaves entries to the polls."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("feeds", sa.Column("stored_today", sa.Text()))
    op.add_column("feeds", sa.Column("push_missed", sa.Boolean()))
