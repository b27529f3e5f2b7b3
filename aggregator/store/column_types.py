"""Column types: instants as integers, texts that any database takes, lists as JSON.

They are types of our own, not decorators of others: a row has dozens of values, and a decorator
doubles the cost of each.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Dialect, Integer, LargeBinary
from sqlalchemy.types import UserDefinedType

from aggregator.core.text.sanitize import masked

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

_compact = json.JSONEncoder(separators=(",", ":")).encode

Values = dict[str, Any]
Convert = Callable[[Any], Any]

# SQLite knows its row number only by the exact name INTEGER.
Number = BigInteger().with_variant(Integer(), "sqlite")
Blob = LargeBinary()


def micros(at: datetime) -> int:
    """Return microseconds since 1970; a naive instant is a bug and raises TypeError."""
    return (at - EPOCH) // MICROSECOND


def instant(value: int) -> datetime:
    """Return the aware UTC instant of `micros`."""
    return EPOCH + timedelta(microseconds=value)


class Instant(UserDefinedType[datetime]):
    """Microseconds since 1970 in UTC: exact, small, and ordered alike in every database."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "BIGINT"

    def bind_processor(self, dialect: Dialect) -> Convert:  # noqa: ARG002
        return lambda value: None if value is None else (value - EPOCH) // MICROSECOND

    def result_processor(self, dialect: Dialect, coltype: object) -> Convert:  # noqa: ARG002
        return lambda value: None if value is None else EPOCH + timedelta(microseconds=value)


class FreeText(UserDefinedType[str]):
    """Text from outside. NUL and lone surrogates, which databases refuse, become U+FFFD.

    One code point stands for one, so that spans keep their places.
    """

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "TEXT"

    def bind_processor(self, dialect: Dialect) -> Convert:  # noqa: ARG002
        return lambda value: storable(value) if value else value


class Line(FreeText):
    """One line from outside: a title, a name, an error's text. What older releases stored comes back sanitised."""

    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Convert:  # noqa: ARG002
        return lambda value: masked(value) if value else value


class JsonList(UserDefinedType[Any]):
    """A list or mapping as compact JSON in ASCII; tuples come back as lists."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "TEXT"

    def bind_processor(self, dialect: Dialect) -> Convert:  # noqa: ARG002
        return _dump

    def result_processor(self, dialect: Dialect, coltype: object) -> Convert:  # noqa: ARG002
        return _load


class Traits(JsonList):
    """The traits of a report: long, and written and read by the hundred. Characters beyond ASCII stay as they are."""

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Convert:  # noqa: ARG002
        return _dump_traits


class DigestList(UserDefinedType[Any]):
    """Keys, which have no spaces, in one text."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "TEXT"

    def bind_processor(self, dialect: Dialect) -> Convert:  # noqa: ARG002
        return " ".join

    def result_processor(self, dialect: Dialect, coltype: object) -> Convert:  # noqa: ARG002
        return lambda value: tuple(value.split())


def _dump(value: Any) -> str | None:
    if value == ():  # by far the most frequent list
        return "[]"
    return None if value is None else _compact(value)


def _dump_traits(value: Any) -> str:
    import msgspec

    try:
        return msgspec.json.encode(value).decode()  # takes a twentieth of the time
    except UnicodeEncodeError:  # a lone surrogate
        return _compact(value)


def _load(value: str | None) -> Any:
    if value == "[]":
        return ()
    return None if value is None else load(value)


def load(value: str) -> Any:
    """Read a list or mapping of `JsonList`."""
    try:
        return msgspec.json.decode(value)  # several times as fast as the other library
    except msgspec.DecodeError:  # an escaped lone surrogate, which only that one reads
        return json.loads(value)


def storable(text: str) -> str:
    """Return `text` without the code points that no database takes."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= content <= "\udfff" else content for content in text)
    return text
