"""Alerts by hit, the undo log, labels and notes on stories, saved views."""

import json

import sqlalchemy as sa
from alembic import op

INSTANT = sa.BigInteger()
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BATCH = 1000

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    delivery_hits = op.create_table(
        "delivery_hits",
        sa.Column("hit", sa.Text(), primary_key=True),
        sa.Column("delivery", sa.Text(), sa.ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
        sqlite_with_rowid=False,
    )
    _fill(delivery_hits)
    op.create_index("delivery_hits_delivery", "delivery_hits", ["delivery"])
    op.create_table(
        "undo_log",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("rows", sa.Text(), nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("undone_at", INSTANT),
    )
    op.create_index("undo_log_made", "undo_log", ["made_at"])
    op.create_table(
        "labels",
        sa.Column("story", sa.Text(), sa.ForeignKey("stories.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("label", sa.Text(), primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("labels_label", "labels", ["label"])
    op.create_table(
        "notes",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("story", sa.Text(), sa.ForeignKey("stories.id", ondelete="CASCADE"), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
    )
    op.create_index("notes_story", "notes", ["story"])
    op.create_table(
        "views",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
    )


def _fill(delivery_hits: sa.Table) -> None:
    """Write down the hits of the deliveries that are there, by the batch."""
    connection, last = op.get_bind(), ""
    page = sa.text("SELECT id, hits FROM deliveries WHERE id > :last ORDER BY id LIMIT :batch")
    while found := connection.execute(page, {"last": last, "batch": BATCH}).all():
        last = found[-1].id
        rows = [{"hit": hit, "delivery": row.id} for row in found for hit in dict.fromkeys(json.loads(row.hits))]
        if rows:
            op.bulk_insert(delivery_hits, rows)
