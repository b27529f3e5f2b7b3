"""Work that was under way when a process died."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("feeds", sa.Column("begun_at", sa.BigInteger()))
    op.add_column("feeds", sa.Column("deaths", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("deliveries", sa.Column("deaths", sa.Integer(), nullable=False, server_default="0"))
    for table, column, condition in (
        ("feeds", "begun_at", "begun_at IS NOT NULL"),
        ("feeds", "deaths", "deaths > 0"),
        ("deliveries", "deaths", "deaths > 0"),
    ):
        where = sa.text(condition)
        op.create_index(f"{table}_{column}", table, [column], sqlite_where=where, postgresql_where=where)
