"""Differences between SQLite and PostgreSQL, in one place."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Table,
    TableValuedAlias,
    Text,
    any_,
    bindparam,
    func,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects import sqlite

# One number for each thing that processes on one PostgreSQL take turns at ("aggr" in ASCII, then a count).
ROUTING_LOCK = 0x61676772_0001
UPGRADE_LOCK = 0x61676772_0002
CONFIG_LOCK = 0x61676772_0003


@dataclass(frozen=True, slots=True)
class Dialect:
    """How to say it: inserts that know conflicts, membership in a long list, and taking turns.

    `insert_plain(connection, table, rows)` inserts many rows of plain values, in the order of the table's columns,
    that are not there yet; no type of a column converts them, which would cost more than the insert.
    `among(column, name)` holds where the column is one of the values bound to `name`, which are
    given as `list_param(values)`. `paired(first, second)` holds where two columns are one of the pairs
    that are bound by `pairs(values)`. `listed(name)` has a row, with the column `value`, for each of such a list.
    """

    name: str
    insert: Callable[[Table], Any]
    is_in: Callable[[ColumnElement[str], str], ColumnElement[bool]]
    list_param: Callable[[Sequence[str]], Any]
    paired: Callable[[ColumnElement[str], ColumnElement[str]], ColumnElement[bool]]
    pairs: Callable[[Sequence[tuple[str, str]]], dict[str, Any]]
    listed: Callable[[str], TableValuedAlias]
    insert_plain: Callable[[Connection, Table, Sequence[tuple[str | int, ...]]], None]
    advisory_lock: Callable[[Connection, int], None]

    def insert_ignore(self, table: Table) -> Any:
        """Return an insert that leaves existing rows alone."""
        return self.insert(table).on_conflict_do_nothing()

    def upsert(
        self, table: Table, *, where: Callable[[Any], ColumnElement[bool]] | None = None, keep: Sequence[str] = ()
    ) -> Any:
        """Return an insert that overwrites the row with the same key, except the columns in `keep`.

        `where` receives the new row and decides whether it may overwrite.
        """
        statement = self.insert(table)
        unique = [column.name for column in table.primary_key]
        return statement.on_conflict_do_update(
            index_elements=unique,
            set_={c.name: statement.excluded[c.name] for c in table.columns if c.name not in (*unique, *keep)},
            where=None if where is None else where(statement.excluded),
        )


def _among_json(column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    each = func.json_each(bindparam(name, type_=Text)).table_valued("value")
    return column.in_(select(each.c.value))


def _among_array(column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    return column == any_(bindparam(name, type_=ARRAY(Text)))


def _pairs_json(first: ColumnElement[str], second: ColumnElement[str]) -> ColumnElement[bool]:
    each = func.json_each(bindparam("pairs", type_=Text)).table_valued("value")
    halves = (func.json_extract(each.c.value, "$[0]"), func.json_extract(each.c.value, "$[1]"))
    return tuple_(first, second).in_(select(*halves))


def _pairs_arrays(first: ColumnElement[str], second: ColumnElement[str]) -> ColumnElement[bool]:
    halves = (bindparam(name, type_=ARRAY(Text)) for name in ("firsts", "seconds"))
    return tuple_(first, second).in_(select(*map(func.unnest, halves)))


def _rows_json(name: str) -> TableValuedAlias:
    return func.json_each(bindparam(name, type_=Text)).table_valued("value")


def _rows_array(name: str) -> TableValuedAlias:
    return func.unnest(bindparam(name, type_=ARRAY(Text))).table_valued("value").render_derived()


def _insert_plain_tuples(connection: Connection, table: Table, rows: Sequence[tuple[str | int, ...]]) -> None:
    places = ", ".join("?" for _ in table.columns)
    statement = f"INSERT INTO {table.name} VALUES ({places}) ON CONFLICT DO NOTHING"  # noqa: S608 - no value is in it
    connection.exec_driver_sql(statement, [*rows])


def _insert_plain_arrays(connection: Connection, table: Table, rows: Sequence[tuple[str | int, ...]]) -> None:
    names, columns = table.columns.keys(), [list(column) for column in zip(*rows, strict=True)]
    kinds = (BigInteger() if isinstance(value, int) else Text() for value in rows[0])
    arrays = [func.unnest(bindparam(name, type_=ARRAY(kind))) for name, kind in zip(names, kinds, strict=True)]
    statement = _insert_postgres(table).from_select(names, select(*arrays)).on_conflict_do_nothing()
    connection.execute(statement, dict(zip(names, columns, strict=True)))


def _alone_already(connection: Connection, lock: int) -> None:
    """Do nothing: BEGIN IMMEDIATE made this writer the only one."""


def _insert_postgres(table: Table) -> Any:
    from sqlalchemy.dialects import postgresql  # heavy, and few need it

    return postgresql.insert(table)


def _advisory(connection: Connection, lock: int) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})


SQLITE = Dialect(
    name="sqlite",
    insert=sqlite.insert,
    is_in=_among_json,
    list_param=json.dumps,
    paired=_pairs_json,
    pairs=lambda values: {"pairs": json.dumps(values)},
    listed=_rows_json,
    insert_plain=_insert_plain_tuples,
    advisory_lock=_alone_already,
)
POSTGRES = Dialect(
    name="postgresql",
    insert=_insert_postgres,
    is_in=_among_array,
    list_param=list,
    paired=_pairs_arrays,
    pairs=lambda values: {"firsts": [first for first, _ in values], "seconds": [second for _, second in values]},
    listed=_rows_array,
    insert_plain=_insert_plain_arrays,
    advisory_lock=_advisory,
)
