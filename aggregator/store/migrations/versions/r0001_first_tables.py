"""The first tables."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0001"
down_revision = None

INSTANT = sa.BigInteger()
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FTS5 = """
CREATE VIRTUAL TABLE entry_text USING fts5(
    folded, tokenize="unicode61 remove_diacritics 0 categories 'L* M* N* P* S* Co Cn Cf'"
)
"""


def only(condition: sa.ColumnElement[bool]) -> dict[str, Any]:
    """Return the options of a partial index for both databases."""
    return {"sqlite_where": condition, "postgresql_where": condition}


def upgrade() -> None:
    polling()
    matching()
    sending()
    full_text()


def polling() -> None:
    op.create_table(
        "feeds",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("configured_url", sa.Text(), nullable=False),
        sa.Column("configured_title", sa.Text(), nullable=False),
        sa.Column("configured", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("paused_at", INSTANT),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("health", sa.Text(), nullable=False),
        sa.Column("health_since", INSTANT),
        sa.Column("validators_url", sa.Text()),
        sa.Column("etag", sa.Text()),
        sa.Column("last_modified", sa.Text()),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hints", sa.Text()),
        sa.Column("first_polled_at", INSTANT),
        sa.Column("last_polled_at", INSTANT),
        sa.Column("last_ok_at", INSTANT),
        sa.Column("last_new_at", INSTANT),
        sa.Column("newest_at", INSTANT),
        sa.Column("next_poll_at", NUMBER, nullable=False),
        sa.Column("last_status", sa.Integer()),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", INSTANT),
        sa.Column("last_error", sa.Text()),
        sa.Column("interval_s", sa.Float(53)),
        sa.Column("gap_s", sa.Float(53)),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("move_url", sa.Text()),
        sa.Column("move_count", sa.Integer(), nullable=False),
        sa.Column("move_since", INSTANT),
        sa.Column("distrust_guid", sa.Boolean(), nullable=False),
        sa.Column("hub", sa.Text()),
        sa.Column("self_url", sa.Text()),
        sa.Column("rungs", sa.Text(), nullable=False),
        sa.Column("lease_owner", sa.Text()),
        sa.Column("lease_until", INSTANT),
    )
    op.create_index("feeds_due", "feeds", ["next_poll_at", "id"])
    op.create_table(
        "memories",
        sa.Column("feed", sa.Text(), sa.ForeignKey("feeds.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("data", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "hosts",
        sa.Column("host", sa.Text(), primary_key=True),
        sa.Column("not_before", INSTANT, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
    )
    op.create_table(
        "entries",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("feed", sa.Text(), sa.ForeignKey("feeds.id"), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("aliases", sa.Text(), nullable=False),
        sa.Column("guid", sa.Text()),
        sa.Column("link", sa.Text()),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("categories", sa.Text(), nullable=False),
        sa.Column("enclosures", sa.Text(), nullable=False),
        sa.Column("lang", sa.Text()),
        sa.Column("published_at", INSTANT),
        sa.Column("updated_at", INSTANT),
        sa.Column("seen_at", INSTANT, nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("has_text", sa.Boolean(), nullable=False),
        sa.UniqueConstraint("feed", "key", name="entries_feed_key"),
    )
    op.create_index("entries_feed_seen", "entries", ["feed", "seen_at"])
    op.create_index("entries_seen", "entries", ["seen_at"])
    op.create_index("entries_text", "entries", ["seen_at"], **only(sa.column("has_text", sa.Boolean).is_(True)))
    op.create_table(
        "keys",
        sa.Column("feed", sa.Text(), primary_key=True),
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("seen_at", INSTANT, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "aliases",
        sa.Column("feed", sa.Text(), primary_key=True),
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("seen_at", INSTANT, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "unindexed",
        sa.Column("entry", NUMBER, sa.ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True),
    )
    op.create_table(
        "quarantined",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("feed", sa.Text(), sa.ForeignKey("feeds.id", ondelete="CASCADE"), nullable=False),
        sa.Column("seen_at", INSTANT, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
    )
    op.create_index("quarantined_feed", "quarantined", ["feed"])
    op.create_index("quarantined_seen", "quarantined", ["seen_at"])


def matching() -> None:
    op.create_table(
        "hits",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("entry", NUMBER, sa.ForeignKey("entries.id", ondelete="CASCADE"), nullable=False),
        sa.Column("entry_key", sa.Text(), nullable=False),
        sa.Column("entry_version", sa.Integer(), nullable=False),
        sa.Column("spans", sa.Text(), nullable=False),
        sa.Column("snippet", sa.Text(), nullable=False),
        sa.Column("story", sa.Text()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("mark", sa.Text()),
        sa.Column("created_at", INSTANT, nullable=False),
    )
    op.create_index("hits_created", "hits", ["created_at", "id"])
    op.create_index("hits_entry", "hits", ["entry"])
    op.create_index("hits_feed", "hits", ["feed", "created_at"])
    op.create_index("hits_rule", "hits", ["rule", "created_at"])
    op.create_index("hits_rule_state", "hits", ["rule", "state", "created_at"])
    op.create_index("hits_story", "hits", ["story"])
    op.create_table(
        "stories",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("feeds", sa.Text(), nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("first_at", INSTANT, nullable=False),
        sa.Column("last_at", INSTANT, nullable=False),
    )
    op.create_index("stories_last", "stories", ["last_at"])
    op.create_table(
        "story_keys",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("story", sa.Text(), sa.ForeignKey("stories.id", ondelete="CASCADE"), primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("story_keys_story", "story_keys", ["story"])


def sending() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("hits", sa.Text(), nullable=False),
        sa.Column("story", sa.Text()),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("notice", sa.Text()),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("tried_at", INSTANT),
        sa.Column("sent_at", INSTANT),
        sa.Column("last_error", sa.Text()),
        sa.Column("repeat", sa.Boolean(), nullable=False),
        sa.Column("lease_owner", sa.Text()),
        sa.Column("lease_until", INSTANT),
        sa.Column("wake_at", INSTANT),
    )
    op.create_index("deliveries_created", "deliveries", ["created_at"])
    op.create_index("deliveries_sent", "deliveries", ["channel", "sent_at"])
    op.create_index("deliveries_state", "deliveries", ["state", "created_at"])
    op.create_index("deliveries_wake", "deliveries", ["wake_at"], **only(sa.column("wake_at").is_not(None)))
    op.create_table(
        "attempts",
        sa.Column("delivery", sa.Text(), sa.ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT),
        sa.Column("outcome", sa.Text()),
        sa.Column("detail", sa.Text(), nullable=False),
    )
    op.create_table(
        "silences",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("rule", sa.Text()),
        sa.Column("feed", sa.Text()),
        sa.Column("story", sa.Text()),
        sa.Column("until_at", INSTANT, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
    )


def full_text() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(FTS5)
        return
    op.create_table(
        "entry_text",
        sa.Column("entry", NUMBER, sa.ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("folded", sa.Text(), nullable=False),
        sa.Column("words", TSVECTOR(), nullable=False),
    )
    op.create_index("entry_text_words", "entry_text", ["words"], postgresql_using="gin")
