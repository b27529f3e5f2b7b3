"""Tokens of single feeds, keys of the service's own, and edits of rules that can be undone."""

import sqlalchemy as sa
from alembic import op

INSTANT = sa.BigInteger()
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0014"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "feed_links",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
    )
    op.create_index("feed_links_path", "feed_links", ["path"])
    op.create_table(
        "site_keys",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("value", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "edits",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Text(), nullable=False),
        sa.Column("added", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("undoes", NUMBER),
        sa.Column("at", INSTANT, nullable=False),
    )
