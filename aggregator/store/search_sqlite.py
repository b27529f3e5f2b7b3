"""Full text in SQLite: FTS5 over text that is folded and cut into words already.

Every character but space and control is part of a word, so that the index cuts where we did.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    String,
    bindparam,
    column,
    delete,
    func,
    insert,
    literal_column,
    select,
    table,
)

from aggregator.core.model import SearchOrder
from aggregator.store.column_types import Instant
from aggregator.store.schema import entries, ids_since

texts = table("entry_text", column("rowid"), column("folded", String))
EVERY = select(texts.c.rowid, texts.c.folded)
REMOVE = delete(texts).where(texts.c.rowid == bindparam("entry"))
ENDS = (func.min, func.max)
FEW = 1000  # matches that are sorted
FIRST_SPAN = timedelta(days=1)
INSERT = insert(texts).values(rowid=bindparam("entry"), folded=bindparam("folded"))


def add(connection: Connection, folded: Sequence[tuple[int, str]]) -> None:
    """Put or replace texts by entry id."""
    remove(connection, [entry for entry, _ in folded])
    connection.execute(INSERT, [{"entry": entry, "folded": text} for entry, text in folded])


def remove(connection: Connection, ids: Sequence[int]) -> None:
    connection.execute(REMOVE, [{"entry": entry} for entry in ids])


def find(
    connection: Connection,
    groups: Sequence[Sequence[str]],
    wanted: Sequence[ColumnElement[bool]],
    *,
    since: datetime | None,
    by: SearchOrder,
    limit: int,
) -> Sequence[Row[Any]]:
    """Return entries that have one term of each group, in an order; `wanted`: conditions of entries."""
    if by == "published":
        return _newest(connection, groups, wanted, limit)
    order = texts.c.rowid.desc() if by == "recorded" else literal_column("entry_text.rank")
    query = (
        select(entries)
        .join_from(texts, entries, entries.c.id == texts.c.rowid)
        .where(_match(groups), *ids_since(since, texts.c.rowid), *wanted)
        .order_by(order)
    )
    return connection.execute(query.limit(limit) if limit else query).all()


def _newest(
    connection: Connection, groups: Sequence[Sequence[str]], wanted: Sequence[ColumnElement[bool]], limit: int
) -> Sequence[Row[Any]]:
    """Return the newest by publication.

    The index gives rows by id. A few matches are sorted; of many, the index of dates is gone through from the
    newest, in spans of time that grow, each beside the matches that were recorded since it began.
    """
    order = (entries.c.dated_at.desc(), entries.c.id.desc())
    matched = select(texts.c.rowid).where(_match(groups))
    few = connection.execute(matched.limit(FEW + 1)).scalars().all()
    if len(few) <= FEW or not limit:
        ids = select(entries.c.id).where(entries.c.id.in_(few if len(few) <= FEW else matched), *wanted)
        return _rows(connection, ids.order_by(*order), limit)
    found: list[Row[Any]] = []
    # Two questions: asked for both ends at once, SQLite reads the whole index of dates.
    oldest, high = connection.execute(
        select(*(select(end(entries.c.dated_at, type_=Instant)).where(*wanted).scalar_subquery() for end in ENDS))
    ).one()
    span, before = FIRST_SPAN, list[ColumnElement[bool]]()
    while high is not None and high >= oldest and len(found) < limit:
        low = high - span
        recorded = matched.where(*ids_since(low, texts.c.rowid))
        # The plus keeps SQLite from going by id, which would read every row that matches.
        here = (entries.c.dated_at >= low, *before, *wanted, literal_column("+entries.id").in_(recorded))
        found += _rows(connection, select(entries.c.id).where(*here).order_by(*order), limit - len(found))
        span, before, high = span * 4, [entries.c.dated_at < low], low
    return found


def _rows(connection: Connection, ids: Select[tuple[int]], limit: int) -> Sequence[Row[Any]]:
    """Return whole entries, in the order of their ids."""
    numbers = connection.execute(ids.limit(limit) if limit else ids).scalars().all()
    rows = {row.id: row for row in connection.execute(select(entries).where(entries.c.id.in_(numbers)))}
    return [rows[number] for number in numbers]


def _match(groups: Sequence[Sequence[str]]) -> ColumnElement[bool]:
    wanted = " AND ".join(f"({' OR '.join(map(_quoted, group))})" for group in groups)
    return literal_column("entry_text").op("MATCH")(wanted)


def _quoted(term: str) -> str:
    words, prefix = (term[:-1], "*") if term.endswith("*") else (term, "")
    return '"' + words.replace('"', '""') + '"' + prefix
