"""Clusters on PostgreSQL: configurations, nodes, lanes; the slot and the options of a feed."""

import sqlalchemy as sa
from alembic import op

from aggregator.core.polling.lanes import slot_of

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column("feeds", sa.Column("slot", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("feeds", sa.Column("options", sa.Text()))
    feeds = sa.table("feeds", sa.column("host", sa.Text()), sa.column("slot", sa.Integer()))
    connection = op.get_bind()
    put = sa.update(feeds).where(feeds.c.host == sa.bindparam("at")).values(slot=sa.bindparam("into"))
    hosts = connection.execute(sa.select(feeds.c.host).distinct()).scalars().all()
    if hosts:
        connection.execute(put, [{"at": host, "into": slot_of(host)} for host in hosts])
    op.create_index("feeds_lane", "feeds", ["slot", "next_poll_at"], sqlite_where=sa.text("slot < 0"))
    op.create_table(
        "configs",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("files", sa.Text(), nullable=False),
        sa.Column("feeds", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "nodes",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("schema", sa.Text(), nullable=False),
        sa.Column("config", sa.Integer(), nullable=False),
        sa.Column("lacks", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("heartbeat_at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "lanes",
        sa.Column("lane", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("owner", sa.Text(), nullable=False),
    )
    op.create_table(
        "cluster",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
