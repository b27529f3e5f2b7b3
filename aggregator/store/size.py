"""How much room a database takes."""

from pathlib import Path

from sqlalchemy import Connection, func, select

from aggregator.store.place import Place


def size_bytes(connection: Connection, place: Place) -> int:
    """Bytes on disk, the write-ahead log of SQLite included."""
    if place.path is None:
        return int(connection.execute(select(func.pg_database_size(func.current_database()))).scalar_one())
    files = (place.path, Path(f"{place.path}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())
