"""When a feed is polled again, and what a poll changes in its state."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aggregator.core.errors import BadStatus, ParseError, Unreachable
from aggregator.core.model import (
    CacheHints,
    FeedHints,
    FeedState,
    Fetched,
    Health,
    HostLimit,
    NotModified,
    ParsedFeed,
    ParseLevel,
    Validators,
)
from aggregator.core.polling.schedule import after_failure, after_success, next_poll_at, rest_after_deaths_s
from aggregator.core.settings import Feed, Polling

NOW = datetime(2026, 1, 5, 9, 17, 23, tzinfo=UTC)
URL = "http://news.example/feed"
FEED = Feed(url=URL, id="news")
POLLING = Polling()
STATE = FeedState(
    id="news",
    url=URL,
    configured_url=URL,
    health=Health.OK,
    first_polled_at=NOW - timedelta(days=30),
    last_new_at=NOW - timedelta(hours=1),
    validators=Validators(url=URL, etag='"old"'),
    items=20,
)
DAY_S = 86_400.0
instants = st.datetimes(min_value=datetime(2024, 1, 1), max_value=datetime(2030, 1, 1), timezones=st.just(UTC))
waits = st.none() | st.floats(0, 400 * DAY_S)


def fetched(**more: object) -> Fetched:
    return Fetched(**{"url": URL, "status": 200, "body": b"x", **more})  # type: ignore[arg-type]


def success(state: FeedState = STATE, feed: Feed = FEED, **more: object) -> tuple[FeedState, tuple[HostLimit, ...]]:
    given_now = {"response": NotModified(url=URL), "now": NOW, **more}
    return after_success(state, feed, POLLING, **given_now)  # type: ignore[arg-type]


def wait_s(state: FeedState, now: datetime = NOW) -> float:
    assert state.next_poll_at is not None
    return (state.next_poll_at - now).total_seconds()


@given(now=instants, interval=st.floats(1, 2 * DAY_S), requests=st.tuples(waits, waits, waits, waits))
def test_bounds_of_the_next_poll(now: datetime, interval: float, requests: tuple[float | None, ...]) -> None:
    """The next poll is never before the interval and the floor, nor after 7 days (or the interval), jitter apart."""
    max_age, expires, ttl, update = requests
    at = next_poll_at(
        "f",
        interval_s=interval,
        cache=CacheHints(max_age_s=max_age, expires_s=expires),
        hints=FeedHints(ttl_s=ttl, update_period_s=update),
        min_interval_s=60,
        now=now,
    )
    assert max(interval, 60) - 1e-3 <= (at - now).total_seconds() <= max(7 * DAY_S, interval * 1.1) + 1e-3


@given(now=instants, hours=st.frozensets(st.integers(0, 23)), days=st.frozensets(st.integers(0, 6)))
def test_skipped_hours_and_days(now: datetime, hours: frozenset[int], days: frozenset[int]) -> None:
    """A poll never lands in a skipped hour or day unless all are skipped, and never comes sooner for it."""
    plain = next_poll_at("f", interval_s=900, now=now)
    at = next_poll_at("f", interval_s=900, hints=FeedHints(skip_hours=hours, skip_days=days), now=now)
    if len(hours) == 24 or len(days) == 7:
        assert at == plain
    else:
        assert at >= plain
        assert at.hour not in hours
        assert at.weekday() not in days


@given(now=instants, request=st.floats(0, 30 * DAY_S))
def test_ignored_hints(now: datetime, request: float) -> None:
    """A feed that ignores hints ignores all of them, but not its host's wish."""
    hints = FeedHints(ttl_s=request, skip_hours=frozenset(range(23)))
    plain = next_poll_at("f", interval_s=900, now=now)
    assert (
        next_poll_at("f", interval_s=900, cache=CacheHints(max_age_s=request), hints=hints, ignore_hints=True, now=now)
        == plain
    )
    limit = now + timedelta(seconds=request)
    assert next_poll_at("f", interval_s=900, ignore_hints=True, not_before=[limit], now=now) >= limit


def test_no_randomness() -> None:
    """The same values give the same instant; another feed or another moment gives another."""
    first = next_poll_at("a", interval_s=900, now=NOW)
    assert first == next_poll_at("a", interval_s=900, now=NOW)
    assert first != next_poll_at("b", interval_s=900, now=NOW)
    later = NOW + timedelta(seconds=1)
    assert first - NOW != next_poll_at("a", interval_s=900, now=later) - later


def test_unchanged_poll() -> None:
    """A 304 keeps what is known, counts its rung and clears failures."""
    troubled = replace(STATE, failures=2, failing_since=NOW, last_error="x", title="News", body_hash=b"h")
    after, limits = success(troubled)
    assert (after.failures, after.failing_since, after.last_error, after.last_status) == (0, None, None, 304)
    assert (after.validators, after.title, after.body_hash, after.items) == (STATE.validators, "News", b"h", 20)
    assert after.parse_levels == (1, 0, 0, 0, 0)
    assert limits == ()


def test_whole_document() -> None:
    """A parsed document gives title, hints, items and hub; new entries reset the rhythm."""
    parsed = ParsedFeed(
        parse_level=ParseLevel.FULL,
        title="Fresh",
        items=7,
        hints=FeedHints(ttl_s=7200),
        hub="http://hub.example/",
        body_hash=b"n",
    )
    after, _ = success(
        response=fetched(), parsed=parsed, new_entries=2, published=[NOW - timedelta(hours=1), NOW + DAY]
    )
    assert (after.title, after.items, after.hub, after.body_hash) == ("Fresh", 7, "http://hub.example/", b"n")
    assert after.last_new_at == NOW
    assert after.newest_at == NOW  # a date from the future counts as now
    assert after.gap_s == pytest.approx(1800)
    assert after.validators is None
    assert wait_s(after) >= 7200


DAY = timedelta(days=1)


@pytest.mark.parametrize("level", [ParseLevel.SAME_BODY, ParseLevel.SAME_ENTRIES])
def test_document_that_was_not_looked_at(level: ParseLevel) -> None:
    """A parse that skipped the document leaves what it would have said."""
    state = replace(STATE, hints=FeedHints(ttl_s=7200), hub="http://hub.example/")
    after, _ = success(state, response=fetched(), parsed=ParsedFeed(parse_level=level, items=0))
    assert (after.items, after.hub, after.hints) == (20, "http://hub.example/", state.hints)


def test_delta_keeps_validators_and_items() -> None:
    """A 226 or a push without validators leaves the pair, and its few items are not the document's."""
    parsed = ParsedFeed(parse_level=ParseLevel.FULL, items=1)
    after, _ = success(response=fetched(status=226, delta=True), parsed=parsed, new_entries=1)
    assert (after.validators, after.items) == (STATE.validators, 20)


def test_baseline_knows_the_rhythm() -> None:
    """The first document's dates give the usual gap; the feed counts as alive now, however old they are."""
    new = replace(STATE, first_polled_at=None, last_new_at=None, health=Health.NEW)
    dates = [NOW - timedelta(days=400 + 2 * n) for n in range(5)]
    after, _ = success(
        new, response=fetched(), parsed=ParsedFeed(parse_level=ParseLevel.FULL, items=5), new_entries=5, published=dates
    )
    assert (after.gap_s, after.health, after.first_polled_at) == (2 * DAY_S, Health.OK, NOW)
    assert wait_s(after) <= 990


def test_failure_keeps_the_pair() -> None:
    """A failure leaves validators, entries and interval alone and says what was wrong."""
    after, limits = after_failure(STATE, FEED, POLLING, Unreachable("x: refused", url=URL), now=NOW)
    assert (after.validators, after.items, after.health) == (STATE.validators, 20, Health.OK)
    assert (after.failures, after.failing_since, after.last_error, after.last_status) == (1, NOW, "x: refused", None)
    assert limits == ()
    assert 900 <= wait_s(after) <= 990


@given(failures=st.integers(0, 500), status=st.sampled_from([400, 429, 500, 503]), now=instants)
def test_backoff_bounds(failures: int, status: int, now: datetime) -> None:
    """However often a feed failed, it is tried again within a day, and never before its interval."""
    state = replace(STATE, failures=failures, failing_since=now, health=Health.FAILING)
    after, _ = after_failure(state, FEED, POLLING, BadStatus("no", status=status, url=URL), now=now)
    assert 900 <= wait_s(after, now) <= DAY_S


def test_host_limits() -> None:
    """A 429 speaks for its host: with a time, or with the back-off where it names none."""
    error = BadStatus("no", status=429, url="http://sub.news.example/x", retry_after_s=7200)
    after, (limit,) = after_failure(STATE, FEED, POLLING, error, now=NOW)
    assert (limit.host, limit.not_before) == ("news.example", NOW + timedelta(hours=2))
    assert wait_s(after) >= 7200
    _, (bare,) = after_failure(STATE, FEED, POLLING, BadStatus("no", status=429, url=URL), now=NOW)
    assert bare.not_before >= NOW + timedelta(seconds=1800)
    assert after_failure(STATE, FEED, POLLING, BadStatus("no", status=503, url=URL), now=NOW)[1] == ()


def test_retry_after_on_success() -> None:
    """Retry-After on a good answer is honoured for the host as well, even where hints are ignored."""
    deaf = Feed(url=URL, id="news", ignore_cache_hints=True)
    after, (limit,) = success(
        feed=deaf, response=NotModified(url=URL, hints=CacheHints(retry_after_s=7200, max_age_s=DAY_S))
    )
    assert limit.not_before == NOW + timedelta(hours=2)
    assert 7200 <= wait_s(after) <= 7920


def test_earlier_host_limits_hold() -> None:
    """What the host asked for before holds after good and bad polls."""
    limits = [HostLimit(host="news.example", not_before=NOW + timedelta(hours=5))]
    after, _ = success(limits=limits)
    assert wait_s(after) >= 5 * 3600
    after, _ = after_failure(STATE, FEED, POLLING, Unreachable("x", url=URL), limits=limits, now=NOW)
    assert wait_s(after) >= 5 * 3600


def test_gone() -> None:
    """After a 410 there is no next poll."""
    after, _ = after_failure(STATE, FEED, POLLING, BadStatus("gone", status=410, url=URL), now=NOW)
    assert (after.health, after.next_poll_at) == (Health.GONE, None)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_weekly_probe(status: int) -> None:
    """After three days of refusals a feed is probed once a week."""
    state = replace(STATE, failures=9, failing_since=NOW - timedelta(days=3), health=Health.FAILING)
    after, _ = after_failure(state, FEED, POLLING, BadStatus("no", status=status, url=URL), now=NOW)
    assert 6 * DAY_S < wait_s(after) <= 7 * DAY_S


def test_every_and_max_latency() -> None:
    """A feed's own interval counts, max_latency bounds the slowing, the floor bounds both."""
    quiet = replace(STATE, last_new_at=NOW - timedelta(days=100))
    own = Feed.model_validate({"url": URL, "id": "news", "every": "5m"})
    assert 300 <= wait_s(success(feed=own)[0]) <= 330
    latent = Feed.model_validate({"url": URL, "id": "news", "max_latency": "1h"})
    assert 3600 <= wait_s(success(quiet, latent)[0]) <= 3960
    hurried = Feed.model_validate({"url": URL, "id": "news", "every": "1s", "max_latency": "1s"})
    assert 60 <= wait_s(success(quiet, hurried)[0]) <= 66


def test_parse_error_is_a_failure() -> None:
    """A document that is no feed counts as a failure without a status."""
    after, _ = after_failure(STATE, FEED, POLLING, ParseError("This is a web page.", found="html"), now=NOW)
    assert (after.failures, after.last_status, after.last_error) == (1, None, "This is a web page.")


def test_a_feed_rests_longer_with_each_death_and_a_day_at_most() -> None:
    """The first costs nothing: whoever is killed is always in the midst of something. No loop comes of it."""
    assert [rest_after_deaths_s(n) for n in range(7)] == [0, 0, 5, 20, 80, 320, 1280]
    assert rest_after_deaths_s(10) == rest_after_deaths_s(10_000) == DAY_S


def test_a_poll_that_ended_well_clears_a_feed_of_suspicion() -> None:
    """A failure that the service survived says nothing about the document."""
    suspect = replace(STATE, deaths=3)
    assert success(suspect)[0].deaths == 0
    assert after_failure(suspect, FEED, POLLING, Unreachable("no", url=URL), now=NOW)[0].deaths == 3


def test_a_lease_without_pushes_does_not_count() -> None:
    """A poll that finds what the hub did not push goes back to the usual interval, until a push brings something."""
    live = replace(STATE, last_ok_at=NOW, first_polled_at=NOW, hub="http://hub.example/")
    feed = Feed(url="http://f.example/", id="f")

    def after(state: FeedState, *, new: int = 0, by_itself: bool = False, pushed: bool = True) -> FeedState:
        response = Fetched(url=state.url, status=200, body=b"", pushed=by_itself, delta=by_itself)
        found, _ = after_success(
            state, feed, Polling(), response=response, parsed=ParsedFeed(parse_level=ParseLevel.FULL), new_entries=new,
            pushed=pushed, now=NOW,
        )  # fmt: skip
        return found

    quiet = after(live)
    assert (quiet.push_missed, quiet.interval_s) == (False, 3600)
    missed = after(quiet, new=1)
    assert (missed.push_missed, missed.interval_s) == (True, 900)
    assert after(missed).interval_s == 900
    assert after(missed, by_itself=True).push_missed
    repaired = after(missed, new=1, by_itself=True)
    assert (repaired.push_missed, after(repaired).interval_s) == (False, 3600)
    assert not after(missed, pushed=False).push_missed
