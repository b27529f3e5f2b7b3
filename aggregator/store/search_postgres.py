"""Full text in PostgreSQL: the set of an entry's words under a GIN index, and the text for phrases.

Words are cut and folded already, so no parser or dictionary of PostgreSQL takes part. Positions in
a tsvector end at 16,383 and at 256 to a word: phrases are found in the text instead.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    MetaData,
    Row,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY, TSVECTOR, insert

from aggregator.core.model import SearchOrder
from aggregator.store.column_types import Number
from aggregator.store.schema import entries, ids_since

# What a tsvector holds at most: 2 kB to a word, 1 MB in all.
MAX_WORD = 2000
BY_LENGTH = 2  # of ts_rank: words found count by their share of the text
ALL_WORDS = 900_000

texts = Table(
    "entry_text",
    MetaData(),
    Column("entry", Number, ForeignKey(entries.c.id, ondelete="CASCADE"), primary_key=True),
    Column("folded", Text, nullable=False),
    Column("words", TSVECTOR, nullable=False),
)
Index("entry_text_words", texts.c.words, postgresql_using="gin")

EVERY = select(texts.c.entry, texts.c.folded)
_new = insert(texts).values(
    entry=bindparam("entry"),
    folded=bindparam("folded"),
    words=func.array_to_tsvector(bindparam("words", type_=ARRAY(Text))),
)
PUT = _new.on_conflict_do_update(
    index_elements=["entry"], set_={"folded": _new.excluded.folded, "words": _new.excluded.words}
)
REMOVE = delete(texts).where(texts.c.entry == bindparam("entry_id"))


def add(connection: Connection, folded: Sequence[tuple[int, str]]) -> None:
    """Put or replace texts by entry id."""
    connection.execute(
        PUT,
        [{"entry": entry, "folded": _spaced(text), "words": indexable(text)} for entry, text in folded],
    )


def remove(connection: Connection, ids: Sequence[int]) -> None:
    connection.execute(REMOVE, [{"entry_id": entry} for entry in ids])


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
    query = (
        select(entries)
        .join_from(texts, entries, entries.c.id == texts.c.entry)
        .where(*(or_(*map(_has, group)) for group in groups), *ids_since(since), *wanted)
    )
    if by == "relevance":
        words = " | ".join(_words(term) for group in groups for term in group)
        rank = func.ts_rank(texts.c.words, cast(literal(words), TSQUERY), BY_LENGTH)
        query = query.order_by(rank.desc(), entries.c.id.desc())
    else:
        time = entries.c.seen_at if by == "recorded" else entries.c.dated_at
        query = query.order_by(time.desc(), entries.c.id.desc())
    return connection.execute(query.limit(limit) if limit else query).all()


def indexable(text: str) -> list[str]:
    """Return the distinct words of a text, as many as fit."""
    words, fixture = [], ALL_WORDS
    for word in sorted(set(text.split())):
        size = len(word.encode())
        fixture -= size + 2
        if fixture < 0:
            break
        if size <= MAX_WORD:
            words.append(word)
    return words


def _has(term: str) -> ColumnElement[bool]:
    words, prefix = term.rstrip("*").split(), term.endswith("*")
    found: ColumnElement[bool] = texts.c.words.op("@@")(cast(literal(_words(term)), TSQUERY))
    if len(words) < 2:
        return found
    phrase = " " + " ".join(words) + ("" if prefix else " ")
    return and_(found, func.strpos(texts.c.folded, phrase) > 0)


def _words(term: str) -> str:
    """Write the words of a term as a question about a tsvector; their order is not asked."""
    return f"({' & '.join(map(_lexeme, term.rstrip('*').split()))}{':*' if term.endswith('*') else ''})"


def _lexeme(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


def _spaced(text: str) -> str:
    """Put a space before and after every word, so that a phrase is found by its edges."""
    return f" {' '.join(text.split())} "
