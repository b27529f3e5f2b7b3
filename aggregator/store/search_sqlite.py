"""Full text in SQLite: FTS5 over text that is folded and cut into words already.

Every character but space and control is part of a word, so that the index cuts where we did.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    bindparam,
    column,
    delete,
    insert,
    literal_column,
    select,
    table,
)

from aggregator.store.schema import entries

texts = table("entry_text", column("rowid"), column("folded", String))
ENTRY: ColumnElement[int] = texts.c.rowid  # by which a search is bounded
EVERY = select(texts.c.rowid, texts.c.folded)
REMOVE = delete(texts).where(texts.c.rowid == bindparam("entry"))
INSERT = insert(texts).values(rowid=bindparam("entry"), folded=bindparam("folded"))


def add(connection: Connection, folded: Sequence[tuple[int, str]]) -> None:
    """Put or replace texts by entry id."""
    remove(connection, [entry for entry, _ in folded])
    connection.execute(INSERT, [{"entry": entry, "folded": text} for entry, text in folded])


def remove(connection: Connection, ids: Sequence[int]) -> None:
    connection.execute(REMOVE, [{"entry": entry} for entry in ids])


def matching(groups: Sequence[Sequence[str]]) -> Select[Any]:
    """Select entries that have one term of each group, newest first."""
    wanted = " AND ".join(f"({' OR '.join(map(_quoted, group))})" for group in groups)
    return (
        select(entries)
        .join_from(texts, entries, entries.c.id == texts.c.rowid)
        .where(literal_column("entry_text").op("MATCH")(wanted))
        .order_by(texts.c.rowid.desc())
    )


def _quoted(term: str) -> str:
    words, prefix = (term[:-1], "*") if term.endswith("*") else (term, "")
    return '"' + words.replace('"', '""') + '"' + prefix
