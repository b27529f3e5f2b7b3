"""The tables of what pages keep for themselves; schema.py has all others, in the same metadata."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, Table, Text

from aggregator.store.column_types import Blob, FreeText, Instant, JsonList, Line, Number

metadata = MetaData()

# Tokens that open one of the site's own feeds each; `digest` is SHA-256 of the token.
feed_links = Table(
    "feed_links",
    metadata,
    Column("id", Number, primary_key=True),
    Column("path", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
)
Index("feed_links_path", feed_links.c.path)

# Keys that the service made for itself, such as the one that signs links in alerts.
site_keys = Table(
    "site_keys",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Blob, nullable=False),
)

# Edits of rules, each as the lines it replaced, so that it can be undone.
edits = Table(
    "edits",
    metadata,
    Column("id", Number, primary_key=True),
    Column("file", FreeText, nullable=False),
    Column("line", Integer, nullable=False),
    Column("removed", FreeText, nullable=False),
    Column("added", FreeText, nullable=False),
    Column("about", Line, nullable=False),
    Column("undoes", Number),
    Column("at", Instant, nullable=False),
)

# What people changed by hand, with what the rows held before and after: [table, key, before, after].
undo_log = Table(
    "undo_log",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("rows", JsonList, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("undone_at", Instant),
)
Index("undo_log_made", undo_log.c.made_at)

labels = Table(
    "labels",
    metadata,
    Column("story", Text, ForeignKey("stories.id", ondelete="CASCADE"), primary_key=True),
    Column("label", Line, primary_key=True),
    sqlite_with_rowid=False,
)
Index("labels_label", labels.c.label)

notes = Table(
    "notes",
    metadata,
    Column("id", Number, primary_key=True),
    Column("story", Text, ForeignKey("stories.id", ondelete="CASCADE"), nullable=False),
    Column("text", FreeText, nullable=False),
    Column("created_at", Instant, nullable=False),
)
Index("notes_story", notes.c.story)

# Saved views: filters with a name; the id is part of their addresses.
views = Table(
    "views",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Line, nullable=False),
    Column("query", JsonList, nullable=False),
    Column("created_at", Instant, nullable=False),
)

# The last test alert of each channel; `answers` are [recipient, accepted or not, detail], secrets cut out.
channel_tests = Table(
    "channel_tests",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("answers", JsonList, nullable=False),
)

# How many entries and hits each feed has, hits each rule (`part`: state/mark/split, see `counts.py`), deliveries
# each state. Triggers write them (migration 0026); what is counted is the sum of all rows with the same names.
counts = Table(
    "counts",
    metadata,
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("part", Text, nullable=False),
    Column("n", BigInteger, nullable=False),
)
Index("counts_name", counts.c.kind, counts.c.name, counts.c.part)
