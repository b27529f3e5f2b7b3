"""Stories are events: reports in different words, the reasons why they were joined, and what people decided."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("stories", sa.Column("alerted_at", sa.BigInteger()))
    op.execute("UPDATE stories SET alerted_at = last_at WHERE told <> '[]'")
    op.add_column("story_keys", sa.Column("at", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute("UPDATE story_keys SET at = (SELECT last_at FROM stories WHERE stories.id = story_keys.story)")
    op.create_index("story_keys_latest", "story_keys", ["key", "at"])
    op.add_column("hits", sa.Column("because", sa.Text()))
    op.add_column("deliveries", sa.Column("update", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "reports",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("story", sa.Text(), sa.ForeignKey("stories.id", ondelete="CASCADE"), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("features", sa.Text(), nullable=False),
    )
    op.create_index("reports_story", "reports", ["story", "at"])
    op.create_index("reports_feed", "reports", ["feed", "at"])
    op.create_table(
        "story_links",
        sa.Column("story", sa.Text(), primary_key=True),
        sa.Column("other", sa.Text(), primary_key=True),
        sa.Column("apart", sa.Boolean(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("story_links_at", "story_links", ["at"])
    op.create_table(
        "learned",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("data", sa.LargeBinary(), nullable=False),
    )
