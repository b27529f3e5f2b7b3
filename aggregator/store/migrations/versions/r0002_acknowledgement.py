"""Alerts and stories of which a person knows."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for table in ("deliveries", "stories"):
        op.add_column(table, sa.Column("acknowledged_at", sa.BigInteger()))
