"""Statements for many rows, made once; values are converted column by column.

SQLAlchemy prepares every row by itself, with two dictionaries and a look at each of its values: of the entries
of a first poll, that costs more than SQLite takes to store them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

_Column = tuple[str, Callable[[Any], Any] | None]  # the name in a row; what makes its value one of the driver's


class BulkStatement:
    """An insert or update that runs once for each row: of as many columns as the rows have, all the same."""

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._compiled: dict[tuple[str, ...], tuple[str, list[_Column], dict[str, Any]]] = {}

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute the statement with each row, if there is any."""
        if not rows:
            return
        if connection.dialect.name != "sqlite":  # psycopg's values need what SQLAlchemy knows of their types
            connection.execute(self._statement, rows)
            return
        names = tuple(rows[0])
        if (made := self._compiled.get(names)) is None:
            made = self._compiled[names] = self._compile(connection, names)
        text, columns, fixed = made
        values: list[Sequence[Any]] = []
        for name, convert in columns:
            if name in fixed:
                values.append([fixed[name]] * len(rows))
            elif convert is None:
                values.append([row[name] for row in rows])
            else:
                values.append([convert(row[name]) for row in rows])
        connection.exec_driver_sql(text, [*zip(*values, strict=True)])

    def _compile(self, connection: Connection, names: tuple[str, ...]) -> tuple[str, list[_Column], dict[str, Any]]:
        """Return the statement's text, its columns in order, and the values that are the same for all rows."""
        dialect = connection.dialect
        compiled = self._statement.compile(dialect=dialect, column_keys=names, for_executemany=True)
        converts = {
            name: bound.type.dialect_impl(dialect).bind_processor(dialect) for name, bound in compiled.binds.items()
        }
        columns = [(name, converts[name]) for name in compiled.positiontup]
        given = compiled.params
        fixed = {
            name: given[name] if convert is None else convert(given[name])
            for name, convert in columns
            if name not in names
        }
        return compiled.string, columns, fixed
