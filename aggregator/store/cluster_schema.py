"""The tables of a cluster: they concern its processes, and stay where they are when a database is copied."""

from sqlalchemy import Column, Integer, Table, Text

from aggregator.store.column_types import Instant, JsonList, Line
from aggregator.store.schema import metadata

# The configurations of a cluster, each in files; `feeds` are those of them that say nothing but feeds, which rows hold.
configs = Table(
    "configs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),
    Column("files", JsonList, nullable=False),
    Column("feeds", JsonList, nullable=False),
    Column("by", Line, nullable=False),
    Column("at", Instant, nullable=False),
)

# The processes of a cluster; every instant here is the database's.
nodes = Table(
    "nodes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Line, nullable=False),
    Column("roles", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("schema", Text, nullable=False),
    Column("config", Integer, nullable=False),
    Column("lacks", Line, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("heartbeat_at", Instant, nullable=False),
)

# Which job polls a lane: no other job claims anything in it.
lanes = Table(
    "lanes",
    metadata,
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("owner", Text, nullable=False),
)

# What a cluster agrees on: the number of lanes, the last planner, the engine's schema, the oldest program.
cluster = Table(
    "cluster",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

ENGINE, OLDEST_PROGRAM = "engine", "oldest_program"  # what the cluster agrees on
