"""Subscriptions at hubs."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

INSTANT = sa.BigInteger()


def upgrade() -> None:
    op.add_column("feeds", sa.Column("hub_until", INSTANT))
    op.create_table(
        "subscriptions",
        sa.Column("feed", sa.Text(), sa.ForeignKey("feeds.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("hub", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("callback", sa.Text(), nullable=False, unique=True),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("standing", sa.Text(), nullable=False),
        sa.Column("asked_at", INSTANT, nullable=False),
        sa.Column("renew_at", INSTANT),
        sa.Column("lease_until", INSTANT),
        sa.Column("reason", sa.Text(), nullable=False),
    )
