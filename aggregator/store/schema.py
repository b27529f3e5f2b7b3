"""The tables. Migrations make them; a test holds that both agree.

Texts from outside are FreeText; ids, states and hosts are plain Text. `wake_at` of a delivery is
when anybody may take it next: its due time, the end of its lease, or NULL once it is settled.
`next_poll_at` of a feed holds ALWAYS or NEVER where there is no instant, so that one index finds
what is due. `begun_at` says that a document of the feed is being worked on under the lease that the
row carries; `deaths` counts the processes, in a row, that died while they worked on a feed or sent a
delivery (for these, attempts say whether they were begun).
"""

from datetime import datetime

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Computed,
    Float,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    false,
    func,
    literal_column,
    select,
)

from aggregator.store.column_types import Blob, DigestList, FreeText, Instant, JsonList, Line, Number, Traits
from aggregator.store.page_tables import counts as counts
from aggregator.store.page_tables import labels as labels
from aggregator.store.page_tables import metadata as metadata
from aggregator.store.page_tables import notes as notes
from aggregator.store.page_tables import undo_log as undo_log
from aggregator.store.page_tables import views as views

ALWAYS = 0
NEVER = 2**62

feeds = Table(
    "feeds",
    metadata,
    Column("id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("configured_url", Text, nullable=False),
    Column("configured_title", Line, nullable=False),
    Column("reading", Text, nullable=False, server_default=""),
    Column("configured", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("paused_at", Instant),
    Column("title", Line, nullable=False),
    Column("health", Text, nullable=False),
    Column("health_since", Instant),
    Column("validators_url", FreeText),
    Column("etag", FreeText),
    Column("last_modified", FreeText),
    Column("body_hash", Blob, nullable=False),
    Column("hints", JsonList),
    Column("first_polled_at", Instant),
    Column("last_polled_at", Instant),
    Column("last_ok_at", Instant),
    Column("last_new_at", Instant),
    Column("newest_at", Instant),
    Column("next_poll_at", Number, nullable=False),
    Column("last_status", Integer),
    Column("failures", Integer, nullable=False),
    Column("failing_since", Instant),
    Column("last_error", Line),
    Column("interval_s", Float(53)),
    Column("gap_s", Float(53)),
    Column("items", Integer, nullable=False),
    Column("move_url", FreeText),
    Column("move_count", Integer, nullable=False),
    Column("move_since", Instant),
    Column("distrust_guid", Boolean, nullable=False),
    Column("volatile", JsonList),
    Column("hub", FreeText),
    Column("self_url", FreeText),
    Column("hub_until", Instant),
    Column("push_missed", Boolean),
    Column("stored_today", JsonList),
    Column("rungs", Text, nullable=False),
    Column("lease_owner", Text),
    Column("lease_until", Instant),
    Column("begun_at", Instant),
    Column("deaths", Integer, nullable=False, server_default="0"),
    Column("slot", Integer, nullable=False, server_default="0"),
    Column("options", FreeText),
)
Index("feeds_due", feeds.c.next_poll_at, feeds.c.id)
# One process needs no lanes: on SQLite the index holds nothing.
Index("feeds_lane", feeds.c.slot, feeds.c.next_poll_at, sqlite_where=feeds.c.slot < 0)

# Apart from the feed's row, so that an unchanged poll never rewrites it.
memories = Table(
    "memories",
    metadata,
    Column("feed", Text, ForeignKey("feeds.id", ondelete="CASCADE"), primary_key=True),
    Column("data", Blob, nullable=False),
)

# Subscriptions at hubs.
subscriptions = Table(
    "subscriptions",
    metadata,
    Column("feed", Text, ForeignKey("feeds.id", ondelete="CASCADE"), primary_key=True),
    Column("hub", FreeText, nullable=False),
    Column("topic", FreeText, nullable=False),
    Column("callback", Text, nullable=False, unique=True),
    Column("secret", Text, nullable=False),
    Column("standing", Text, nullable=False),
    Column("asked_at", Instant, nullable=False),
    Column("renew_at", Instant),
    Column("lease_until", Instant),
    Column("reason", Line, nullable=False),
    Column("moved_to", FreeText),
)

# Subscriptions that ended here and are to end at their hubs.
farewells = Table(
    "farewells",
    metadata,
    Column("callback", Text, primary_key=True),
    Column("hub", FreeText, nullable=False),
    Column("topic", FreeText, nullable=False),
    Column("left_at", Instant, nullable=False),
    Column("told", Boolean, nullable=False),
)

# Hosts that asked to be left alone, by the key that every feed's row carries too.
hosts = Table(
    "hosts",
    metadata,
    Column("host", Text, primary_key=True),
    Column("not_before", Instant, nullable=False),
    Column("reason", Line, nullable=False),
)

# Entry.dated_at: the database works it out, so that no row says otherwise.
DATED = "CASE WHEN published_at < seen_at THEN published_at ELSE seen_at END"

entries = Table(
    "entries",
    metadata,
    Column("id", Number, primary_key=True),
    Column("feed", Text, ForeignKey("feeds.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("aliases", DigestList, nullable=False),
    Column("guid", FreeText),
    Column("link", FreeText),
    Column("title", Line, nullable=False),
    Column("summary", FreeText, nullable=False),
    Column("content", FreeText, nullable=False),
    Column("author", Line, nullable=False),
    Column("categories", JsonList, nullable=False),
    Column("enclosures", JsonList, nullable=False),
    Column("lang", FreeText),
    Column("published_at", Instant),
    Column("updated_at", Instant),
    Column("seen_at", Instant, nullable=False),
    Column("content_hash", Blob, nullable=False),
    Column("version", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("has_text", Boolean, nullable=False),
    Column("dated_at", Instant, Computed(DATED)),
    UniqueConstraint("feed", "key", name="entries_feed_key"),
)
Index("entries_seen", entries.c.seen_at)
Index("entries_dated", entries.c.dated_at)
Index("entries_feed_dated", entries.c.feed, entries.c.dated_at)

ARRIVAL_SLACK = 1000  # entries that polls may have stored in another order than they saw them


def ids_since(since: datetime | None, number: ColumnElement[int] = entries.c.id) -> list[ColumnElement[bool]]:
    """Return the condition with which the ids of entries since an instant begin: nothing older needs to be read.

    Nothing is dated later than it was seen, and ids follow `seen_at` but for polls that were committed side
    by side: the least of many is taken.
    """
    if since is None:
        return []
    oldest = select(entries.c.id).where(entries.c.seen_at >= since).order_by(entries.c.seen_at).limit(ARRIVAL_SLACK)
    return [number >= select(func.min(oldest.subquery().c.id)).scalar_subquery()]


# The memory of identities: outlives entries, so that nothing old is ever news again.
keys = Table(
    "keys",
    metadata,
    Column("feed", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("content_hash", Blob, nullable=False),
    Column("version", Integer, nullable=False),
    Column("seen_at", Instant, nullable=False),
    sqlite_with_rowid=False,
)

# The same for the secondary identities of entries.
aliases = Table(
    "aliases",
    metadata,
    Column("feed", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("seen_at", Instant, nullable=False),
    sqlite_with_rowid=False,
)

# Entries whose folded text is not in the full-text index yet.
unindexed = Table(
    "unindexed",
    metadata,
    Column("entry", Number, ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True),
)

# Entries whose article is still to be read.
wanted_texts = Table(
    "wanted_texts",
    metadata,
    Column("entry", Number, ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True),
    Column("tries", Integer, nullable=False),
    Column("next_at", Instant, nullable=False),
)
Index("wanted_texts_next", wanted_texts.c.next_at)

quarantined = Table(
    "quarantined",
    metadata,
    Column("id", Number, primary_key=True),
    Column("feed", Text, ForeignKey("feeds.id", ondelete="CASCADE"), nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("data", Blob, nullable=False),
    Column("reason", Line, nullable=False),
)
Index("quarantined_seen", quarantined.c.seen_at)
Index("quarantined_feed", quarantined.c.feed)

hits = Table(
    "hits",
    metadata,
    Column("id", Text, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("feed", Text, nullable=False),
    Column("entry", Number, ForeignKey("entries.id", ondelete="CASCADE"), nullable=False),
    Column("entry_key", Text, nullable=False),
    Column("entry_version", Integer, nullable=False),
    Column("spans", JsonList, nullable=False),
    Column("snippet", Line, nullable=False),
    Column("story", Text),
    Column("state", Text, nullable=False),
    Column("reason", Line, nullable=False),
    Column("mark", Text),
    Column("because", JsonList),
    Column("created_at", Instant, nullable=False),
    Column("dated_at", Instant, nullable=False, server_default="0"),  # its entry's, for the indexes
)
Index("hits_created", hits.c.created_at, hits.c.id)
Index("hits_dated", *(hits.c[name] for name in ("dated_at", "id", "state", "mark", "story", "entry")))  # all of a page
Index("hits_rule", hits.c.rule, hits.c.created_at)
Index("hits_rule_dated", hits.c.rule, hits.c.dated_at, hits.c.state, hits.c.mark)  # all that figures ask
Index("hits_rule_state", hits.c.rule, hits.c.state, hits.c.created_at)
Index("hits_feed_dated", hits.c.feed, hits.c.dated_at)
Index("hits_story", hits.c.story)
# Written out, as the partial indexes are: of first polls, and taken out of a story (core.model.SPLIT_FROM).
FROM_FIRST_POLL = hits.c.reason == literal_column("'baseline'")
SPLIT_OUT = func.substr(hits.c.reason, literal_column("1"), literal_column("12")) == literal_column("'split from: '")
Index("hits_entry", hits.c.entry)

# Polls whose hits wait for their routing (PostgreSQL): all that routing asks and that is nowhere else, in order.
unrouted = Table(
    "unrouted",
    metadata,
    Column("number", Number, primary_key=True),
    Column("feed", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("part", Integer, nullable=False),
    Column("config", Integer, nullable=False),
    Column("hits", JsonList, nullable=False),
    Column("entries", JsonList, nullable=False),
    Column("reports", JsonList, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
)

stories = Table(
    "stories",
    metadata,
    Column("id", Text, primary_key=True),
    Column("title", Line, nullable=False),
    Column("fingerprint", Traits, nullable=False),
    Column("feeds", JsonList, nullable=False),
    Column("told", JsonList, nullable=False),
    Column("first_at", Instant, nullable=False),
    Column("last_at", Instant, nullable=False),
    Column("acknowledged_at", Instant),
    Column("joined", Text),
    Column("alerted_at", Instant),
)
Index("stories_last", stories.c.last_at)

# The wordings of an event: a story's first report, and those that joined it in other words.
reports = Table(
    "reports",
    metadata,
    Column("id", Text, primary_key=True),
    Column("story", Text, ForeignKey("stories.id", ondelete="CASCADE"), nullable=False),
    Column("origin", Text, nullable=False),
    Column("feed", Text, nullable=False),
    Column("title", Line, nullable=False),
    Column("at", Instant, nullable=False),
    Column("fingerprint", Traits, nullable=False),
    Column("features", Traits, nullable=False),
    Column("alerted_rules", JsonList),
)
Index("reports_story", reports.c.story, reports.c.at)
Index("reports_feed", reports.c.feed, reports.c.at)

# By which keys a story is found: the URL and title of each report, the bands of its MinHash, its heaviest words.
# Half a hundred rows for a report, so there is one tree of them and no more: no row is ever changed, a story that was
# joined to another one keeps its own, and old ones are pruned. The latest with a key are neighbours.
story_keys = Table(
    "story_keys",
    metadata,
    Column("key", Text, primary_key=True),
    Column("at", Instant, primary_key=True),
    Column("story", Text, primary_key=True),
    sqlite_with_rowid=False,
)

# What people decided: stories that are one event, or never are (`apart`); a row in each direction.
story_links = Table(
    "story_links",
    metadata,
    Column("story", Text, primary_key=True),
    Column("other", Text, primary_key=True),
    Column("apart", Boolean, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Instant, nullable=False),
    sqlite_with_rowid=False,
)
Index("story_links_at", story_links.c.at)

# What the service has learnt from the stream, by name.
learned = Table(
    "learned",
    metadata,
    Column("name", Text, primary_key=True),
    Column("data", Blob, nullable=False),
)

# Who does not know of a story: the alert about it was given up, cancelled or silenced. Without a channel: nobody does.
undelivered = Table(
    "undelivered",
    metadata,
    Column("story", Text, ForeignKey("stories.id", ondelete="CASCADE"), primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("recipient", FreeText, primary_key=True),
    sqlite_with_rowid=False,
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("recipient", FreeText, nullable=False),
    Column("rules", JsonList, nullable=False),
    Column("hits", JsonList, nullable=False),
    Column("story", Text),
    Column("title", Line, nullable=False),
    Column("notice", JsonList),
    Column("priority", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Line, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("tried_at", Instant),
    Column("sent_at", Instant),
    Column("last_error", Line),
    Column("repeat", Boolean, nullable=False),
    Column("lease_owner", Text),
    Column("lease_until", Instant),
    Column("wake_at", Instant),
    Column("acknowledged_at", Instant),
    Column("deaths", Integer, nullable=False, server_default="0"),
    Column("update", Boolean, nullable=False, server_default=false()),
    Column("message_id", Text, nullable=False, server_default=""),
)
Index("deliveries_sent", deliveries.c.channel, deliveries.c.sent_at)
Index("deliveries_created", deliveries.c.created_at)
Index("deliveries_story", deliveries.c.story)
Index("deliveries_state", deliveries.c.state, deliveries.c.created_at)

attempts = Table(
    "attempts",
    metadata,
    Column("delivery", Text, ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("outcome", Text),
    Column("detail", Line, nullable=False),
)

silences = Table(
    "silences",
    metadata,
    Column("id", Number, primary_key=True),
    Column("rule", Text),
    Column("feed", Text),
    Column("story", Text),
    Column("until_at", Instant, nullable=False),
    Column("reason", Line, nullable=False),
    Column("created_at", Instant, nullable=False),
)

# Which alerts report a hit: deliveries.hits, the other way round.
delivery_hits = Table(
    "delivery_hits",
    metadata,
    Column("hit", Text, primary_key=True),
    Column("delivery", Text, ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
    sqlite_with_rowid=False,
)
Index("delivery_hits_delivery", delivery_hits.c.delivery)

# What is copied to another database; the tables of a cluster (cluster_schema) concern its processes.
STORED = tuple(table for table in metadata.sorted_tables if table is not counts)  # triggers count there, too
