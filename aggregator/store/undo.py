"""The log of what people changed by hand: enough of each row to put it back.

A change is recorded around the statements that make it: rows are read before and after, and what differs
is kept. Undoing writes the earlier values back, but only into rows that still hold what the change left in
them, so that nothing that happened since is overwritten.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, insert, select, update

from aggregator.core.errors import Conflict, NotFound
from aggregator.core.model import Undo
from aggregator.store.column_types import Instant
from aggregator.store.dialect import ROUTING_LOCK, Dialect
from aggregator.store.schema import deliveries, metadata, stories, undo_log

Watched = Sequence[tuple[Table, ColumnElement[bool]]]
Key = tuple[Any, ...]
Row = Mapping[str, Any]


@contextmanager
def undoable(connection: Connection, undo: Undo | None, watched: Watched) -> Iterator[None]:
    """Record what the block changes in the watched rows; nothing if it changes nothing, or without `undo`.

    Rows that come or go in the block are recorded too, if the condition holds for them. Several blocks with the
    same `undo` are one change.
    """
    if undo is None:
        yield
        return
    before = [_rows(connection, table, condition, locked=True) for table, condition in watched]
    yield
    images: list[Any] = []
    for (table, condition), old in zip(watched, before, strict=True):
        new = _rows(connection, table, condition) | _again(connection, table, list(old))
        for key in {**old, **new}:
            was, now = old.get(key), new.get(key)
            if was != now:
                changed = set(was or ()) | set(now or ()) if was is None or now is None else _differing(was, now)
                images.append([table.name, list(key), _kept(was, changed), _kept(now, changed)])
    if images:
        logged = undo_log.c.id == undo.id
        earlier = connection.execute(select(undo_log.c.rows).where(logged)).scalar()
        if earlier is not None:
            connection.execute(update(undo_log).where(logged).values(rows=[*earlier, *images]))
        else:
            values = {"id": undo.id, "kind": undo.kind, "made_at": undo.made_at, "rows": images}
            connection.execute(insert(undo_log).values(values))


def take_back(connection: Connection, dialect: Dialect, undo_id: str, now: datetime) -> Undo:
    """Put back what a change changed, in rows that nobody changed since.

    An alert that the change made must still wait as it did: one that has left takes nothing back, or what it reported
    would be offered again. Raises NotFound; Conflict if it was undone already, or if nothing of it is left to undo.
    """
    row = connection.execute(select(undo_log).where(undo_log.c.id == undo_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound("change", undo_id, why="it was made too long ago, or never")
    if row.undone_at is not None:
        raise Conflict("this was undone already")
    if any(name == stories.name for name, *_ in row.rows):
        dialect.advisory_lock(connection, ROUTING_LOCK)  # routing reads what becomes of stories
    for name, key, was, now_there in row.rows:
        if name == deliveries.name and was is None and not _is_as_left(connection, deliveries, key, now_there):
            raise Conflict("it cannot be undone: the alert was sent, or is being sent")
    count = sum(_put_back(connection, *image) for image in reversed(row.rows))
    if not count:
        raise Conflict("nothing is left to undo: what was changed has changed again since")
    connection.execute(update(undo_log).where(undo_log.c.id == undo_id).values(undone_at=now))
    return Undo(id=undo_id, kind=row.kind, made_at=row.made_at, count=count)


def _rows(
    connection: Connection, table: Table, condition: ColumnElement[bool], *, locked: bool = False
) -> dict[Key, Row]:
    """Read rows; `locked`: what others, such as routing, write into them meanwhile would pass for our change."""
    keys = [column.name for column in table.primary_key]
    query = select(table).where(condition)
    if locked:
        query = query.order_by(*table.primary_key).with_for_update()
    found = [row._asdict() for row in connection.execute(query)]
    return {tuple(row[name] for name in keys): row for row in found}


def _again(connection: Connection, table: Table, keys: Sequence[Key]) -> dict[Key, Row]:
    """Read rows again that the condition may no longer hold for."""
    found: dict[Key, Row] = {}
    for key in keys:
        found |= _rows(connection, table, _at(table, key))
    return found


def _at(table: Table, key: Sequence[Any]) -> ColumnElement[bool]:
    return and_(*(column == value for column, value in zip(table.primary_key, key, strict=True)))


def _differing(was: Row, now: Row) -> set[str]:
    return {name for name in was if was[name] != now[name]}


def _kept(row: Row | None, names: set[str]) -> Row | None:
    if row is None:
        return None
    return {name: _written(row[name]) for name in row if name in names}


def _written(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def _read(table: Table, values: Row) -> dict[str, Any]:
    instants = {column.name for column in table.columns if isinstance(column.type, Instant)}
    return {
        name: datetime.fromisoformat(value) if name in instants and value is not None else value
        for name, value in values.items()
    }


def _is_as_left(connection: Connection, table: Table, key: Sequence[Any], now: Row | None) -> bool:
    """Tell whether a row still holds what a change left in it (None: it left none)."""
    there = _rows(connection, table, _at(table, key)).get(tuple(key))
    if there is None or now is None:
        return there is None and now is None
    return all(_written(there[column]) == now[column] for column in now)


def _put_back(connection: Connection, name: str, key: Sequence[Any], was: Row | None, now: Row | None) -> int:
    """Write one row's earlier values, if it still holds the later ones; return 1 if it did."""
    table = metadata.tables[name]
    if not _is_as_left(connection, table, key, now):
        return 0
    if was is None:
        connection.execute(delete(table).where(_at(table, key)))
    elif now is None:
        connection.execute(insert(table).values(_read(table, was)))
    else:
        connection.execute(update(table).where(_at(table, key)).values(_read(table, was)))
    return 1
