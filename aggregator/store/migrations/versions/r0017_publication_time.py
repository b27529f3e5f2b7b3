"""The time that listings go by: publication, or recording where a feed gives none or one in the future."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

DATED = "CASE WHEN published_at < seen_at THEN published_at ELSE seen_at END"


def upgrade() -> None:
    # PostgreSQL indexes only what is stored, SQLite can only add what is not.
    stored = op.get_bind().dialect.name == "postgresql"
    op.add_column("entries", sa.Column("dated_at", sa.BigInteger(), sa.Computed(DATED, persisted=stored)))
    op.create_index("entries_dated", "entries", ["dated_at"])
    op.create_index("entries_feed_dated", "entries", ["feed", "dated_at"])
    op.drop_index("entries_feed_seen", "entries")
    op.add_column("hits", sa.Column("dated_at", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute("UPDATE hits SET dated_at = (SELECT dated_at FROM entries WHERE entries.id = hits.entry)")
    op.create_index("hits_dated", "hits", ["dated_at", "id"])
    op.create_index("hits_rule_dated", "hits", ["rule", "dated_at", "state", "mark"])
    op.create_index("hits_feed_dated", "hits", ["feed", "dated_at"])
    op.drop_index("hits_feed", "hits")
    op.drop_index("hits_rule_state", "hits")
    op.create_index("hits_rule_state", "hits", ["rule", "state", "created_at"])
