"""Response headers: validators, freshness, Retry-After, links."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.core.model import Validators
from aggregator.core.text.http_dates import http_date
from aggregator.fetch.http_headers import hints, links, refreshed, validators

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
URL = "http://news.example/feed"


class Said:
    """A response's headers."""

    def __init__(self, **headers: str) -> None:
        self._headers = {name.replace("_", "-").lower(): value for name, value in headers.items()}

    def header(self, name: str) -> str:
        return self._headers.get(name.lower(), "")


def test_validators() -> None:
    """The pair is what was given, or nothing."""
    assert validators(Said(), URL) is None
    assert validators(Said(ETag='W/"a"'), URL) == Validators(url=URL, etag='W/"a"')
    assert validators(Said(ETag='"a"', Last_Modified="x"), URL) == Validators(url=URL, etag='"a"', last_modified="x")


def test_refreshed() -> None:
    """A 304 replaces what it names and keeps the rest; one that names nothing changes nothing."""
    old = Validators(url=URL, etag='"a"', last_modified="then")
    assert refreshed(old, Said()) is None
    assert refreshed(old, Said(ETag='"b"')) == Validators(url=URL, etag='"b"', last_modified="then")
    assert refreshed(old, Said(Last_Modified="now")) == Validators(url=URL, etag='"a"', last_modified="now")


@pytest.mark.parametrize(
    ("control", "seconds"),
    [
        ("max-age=60", 60),
        ("public, Max-Age=60", 60),
        ('max-age="60"', 60),
        ("s-maxage=60", None),
        ("s-maxage=60, max-age=5", 5),
        ("x-max-age=60", None),
        ("max-age=-5", None),
        ("max-age", None),
        ("no-cache", None),
    ],
)
def test_max_age(control: str, seconds: float | None) -> None:
    """max-age in its spellings, and nothing that only looks like it."""
    assert hints(Said(Cache_Control=control)).max_age_s == seconds


def test_age() -> None:
    """Age is taken off, down to nothing; nonsense is not."""
    assert hints(Said(Cache_Control="max-age=60", Age="20")).max_age_s == 40
    assert hints(Said(Cache_Control="max-age=60", Age="90")).max_age_s == 0
    assert hints(Said(Cache_Control="max-age=60", Age="-9")).max_age_s == 60


@given(st.timedeltas(timedelta(seconds=1), timedelta(days=4000)))
def test_dates_are_relative(length: timedelta) -> None:
    """Retry-After and Expires as dates count from the response's Date, else from now, else not at all."""
    length = timedelta(seconds=round(length.total_seconds()))
    date, later = format_datetime(NOW, usegmt=True), format_datetime(NOW + length, usegmt=True)
    for said, now in (
        (Said(Date=date, Retry_After=later, Expires=later), None),
        (Said(Retry_After=later, Expires=later), NOW),
    ):
        found = hints(said, now)
        assert found.retry_after_s == found.expires_s == length.total_seconds()
    assert hints(Said(Retry_After=later)).retry_after_s is None
    assert hints(Said(Date=later, Retry_After=date, Expires=date)).retry_after_s is None


@given(st.text(max_size=60))
def test_any_header(text: str) -> None:
    """No header value breaks the reading."""
    said = Said(Cache_Control=text, Expires=text, Retry_After=text, Date=text, Age=text, Link=text)
    found = hints(said, NOW)
    assert all(value is None or value >= 0 for value in (found.max_age_s, found.expires_s, found.retry_after_s))
    http_date(text)
    links(said, URL)


def test_date_forms() -> None:
    """All three forms of an HTTP-date are read, as UTC."""
    same = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
    for text in ("Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"):
        assert http_date(text) == same
    assert http_date("yesterday") is None


def test_links() -> None:
    """Link headers give absolute targets by relation."""
    said = Said(Link='<https://hub.example/>; rel="hub", </feed>; rel=self, <x>; title="no, really"; rel="a B"')
    assert links(said, URL) == (
        ("hub", "https://hub.example/"),
        ("self", "http://news.example/feed"),
        ("a", "http://news.example/x"),
        ("b", "http://news.example/x"),
    )
    assert links(Said(), URL) == ()
