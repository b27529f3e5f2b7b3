"""Polite polling, line by line: fifty scenarios against a scripted server.

`scripts/behaviour` prints the sheet; the first sentence of each docstring is its line. Where days
are needed, the clock is in the test's hand; the fetcher, the database and the pipeline are real.
"""

import asyncio
import gzip
import hmac
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl

import brotli
import pytest

from aggregator.core.errors import BadStatus, FetchError, Forbidden, TooLarge, Unreachable
from aggregator.core.model import FeedState, Fetched, Health, NotModified, Validators
from aggregator.core.polling import websub
from aggregator.core.polling.hosts import host_key
from aggregator.core.polling.schedule import after_success, next_poll_at
from aggregator.core.settings import Polling
from aggregator.fetch import open_fetcher
from aggregator.fetch.host_limiter import HostLimiter
from tests.support.certificates import server_context
from tests.support.feed_values import feed, state_of
from tests.support.loopback import FEED, Answer, Loopback, answer, drip, redirect
from tests.support.poll_harness import ManualClock, PollHarness

pytestmark = pytest.mark.anyio

DAY_S = 86_400
ETAG = '"v1"'
MODIFIED = "Mon, 05 Jan 2026 08:00:00 GMT"
UNCHANGED = answer(304)
OK = answer(200, FEED, ETag=ETAG, Last_Modified=MODIFIED)


def document(*names: str, head: str = "") -> bytes:
    """A feed with these entries, newest first."""
    items = "".join(f"<item><guid>{name}</guid><title>{name}</title></item>" for name in names)
    return f"<?xml version='1.0'?><rss version='2.0'><channel><title>News</title>{head}{items}</channel></rss>".encode()


async def second_request(first: Answer, then: Answer = UNCHANGED) -> tuple[str | None, str | None]:
    """What a feed that answered `first` is asked next: (If-None-Match, If-Modified-Since)."""
    async with Loopback() as site, PollHarness(feed(site.script("/feed", first, then))) as service:
        await service.poll()
        await service.poll_next("f")
        last = site.asked[-1]
        assert len(site.asked) == 2
        return last.header("If-None-Match"), last.header("If-Modified-Since")


async def pause_after(said: Answer, **configured: Any) -> float:
    """How many seconds a feed that answered this is left alone."""
    async with Loopback() as site, PollHarness(feed(site.script("/feed", said), **configured)) as service:
        await service.poll()
        return await service.wait_s("f")


async def failure(said: Answer, *, url: str | None = None, state: FeedState | None = None) -> FetchError:
    """The error that such an answer makes."""
    async with Loopback() as site, PollHarness(feed(site.script("/feed", said))) as service:
        with pytest.raises(FetchError) as caught:
            await service.fetcher.fetch(feed(url or site.url("/feed")), state or state_of(url or site.url("/feed")))
        return caught.value


# --- validators ------------------------------------------------------------------------------------


async def test_01_new_feed() -> None:
    """A new feed is asked once, by GET, without conditions."""
    async with Loopback() as site, PollHarness(feed(site.script("/feed", OK))) as service:
        await service.poll()
        (asked,) = site.asked
        assert asked.method == "GET"
        assert asked.header("If-None-Match") is None
        assert asked.header("If-Modified-Since") is None


async def test_02_etag() -> None:
    """If-None-Match is the ETag byte for byte: quotes, W/, 300 characters, spaces, no quotes, other bytes."""
    for etag in ('"abc"', 'W/"abc"', f'"{"x" * 300}"', '"a b  c"', "bare", '"caf\xe9\xff"', '""', '"a","b"'):
        assert (await second_request(answer(200, FEED, ETag=etag)))[0] == etag


async def test_03_last_modified() -> None:
    """If-Modified-Since is the Last-Modified byte for byte, however odd."""
    for date in (MODIFIED, "Mon,  5 Jan 2026 8:00 +0100", "yesterday", "0", "2026-01-05T08:00:00Z"):
        assert (await second_request(answer(200, FEED, Last_Modified=date)))[1] == date


async def test_04_both() -> None:
    """Both validators go out when both were given."""
    assert await second_request(OK) == (ETAG, MODIFIED)


async def test_05_none_invented() -> None:
    """Where a server gave no validator, none is invented."""
    assert await second_request(answer(200, FEED, Date=MODIFIED), answer(200, FEED)) == (None, None)


async def test_06_new_pair_same_body() -> None:
    """A new pair with an identical body is the pair that goes out next."""
    async with Loopback() as site:
        url = site.script("/feed", OK, answer(200, FEED, ETag='"v2"', Last_Modified="later"), UNCHANGED)
        async with PollHarness(feed(url)) as service:
            await service.poll()
            await service.poll_next("f")
            await service.poll_next("f")
        assert (site.asked[2].header("If-None-Match"), site.asked[2].header("If-Modified-Since")) == ('"v2"', "later")


async def test_07_atomic_pair() -> None:
    """What a later 200 leaves out is forgotten."""
    async with Loopback() as site:
        url = site.script("/feed", OK, answer(200, FEED, Last_Modified="later"), UNCHANGED)
        async with PollHarness(feed(url)) as service:
            await service.poll()
            await service.poll_next("f")
            await service.poll_next("f")
        assert (site.asked[2].header("If-None-Match"), site.asked[2].header("If-Modified-Since")) == (None, "later")


async def test_08_304_keeps() -> None:
    """A 304 without validators keeps the pair."""
    async with Loopback() as site, PollHarness(feed(site.script("/feed", OK, UNCHANGED))) as service:
        await service.poll()
        await service.poll_next("f")
        await service.poll_next("f")
        assert [site.asked[2].header(name) for name in ("If-None-Match", "If-Modified-Since")] == [ETAG, MODIFIED]


async def test_09_304_updates() -> None:
    """A 304 with a changed validator updates it (RFC 9111 §4.3.4)."""
    async with Loopback() as site:
        async with PollHarness(feed(site.script("/feed", OK, answer(304, ETag='"v2"'), UNCHANGED))) as service:
            await service.poll()
            await service.poll_next("f")
            await service.poll_next("f")
        assert [site.asked[2].header(name) for name in ("If-None-Match", "If-Modified-Since")] == ['"v2"', MODIFIED]


async def test_10_errors_keep() -> None:
    """After a time-out, a refusal, 5xx or 429 the next request carries the old pair."""
    for finding in (drip(b"HTTP/1.1 200 OK\r\n", b"A", 0.1), answer(500), answer(503), answer(429), b""):
        async with Loopback() as site, PollHarness(feed(site.script("/feed", OK, finding, UNCHANGED))) as service:
            await service.poll()
            await service.poll_next("f")
            assert (await service.state("f")).failures == 1
            await service.poll_next("f")
            assert [site.asked[2].header(name) for name in ("If-None-Match", "If-Modified-Since")] == [ETAG, MODIFIED]


async def test_11_broken_200() -> None:
    """A 200 that is truncated or cannot be parsed does not give its validators."""
    cut = answer(200, FEED, ETag='"bad"', Content_Length="9999")
    page = answer(200, b"<html><body>Sorry</body></html>", ETag='"bad"', Content_Type="text/html")
    for broken in (cut, page, answer(200, b"", ETag='"bad"')):
        async with Loopback() as site, PollHarness(feed(site.script("/feed", OK, broken, UNCHANGED))) as service:
            await service.poll()
            await service.poll_next("f")
            await service.poll_next("f")
            assert site.asked[2].header("If-None-Match") == ETAG


async def test_12_always_conditional() -> None:
    """In 14 days no request is unconditional, and a poll by hand is conditional too."""
    async with Loopback() as site, PollHarness(feed(site.script("/feed", OK, UNCHANGED), every="6h")) as service:
        await service.poll()
        end = service.clock.now() + timedelta(days=14)
        while service.clock.now() < end:
            await service.poll_next("f")
        await service.force()
        assert len(site.asked) > 30
        assert {asked.header("If-None-Match") for asked in site.asked[1:]} == {ETAG}


async def test_13_validators_of_one_url() -> None:
    """Validators go to the URL that gave them, and to no other redirect target."""
    async with Loopback() as site:
        a, b = site.script("/a", answer(200, FEED, ETag='"a"'), UNCHANGED), site.script("/b", OK, UNCHANGED)
        async with PollHarness(
            feed(site.script("/feed", redirect(302, a), redirect(302, b), redirect(302, b)))
        ) as service:
            for _ in range(3):
                await service.poll_next("f")
        assert [asked.header("If-None-Match") for asked in site.heard("/feed")] == [None, None, None]
        assert [asked.header("If-None-Match") for asked in site.heard("/b")] == [None, ETAG]


# --- spacing ---------------------------------------------------------------------------------------


async def test_14_default_interval() -> None:
    """The default interval comes from the settings, and outlives restarts and changes of summer time."""
    async with Loopback() as site:
        url = site.script("/feed", OK, UNCHANGED)
        clock = ManualClock(datetime(2026, 3, 29, 0, 40, tzinfo=UTC))  # Europe moves its clocks at 01:00 UTC
        database = None
        for _ in range(4):
            async with PollHarness(feed(url), clock=clock, database=database, every="15m") as service:
                database = service.database
                await service.poll_next("f")
                assert 900 <= await service.wait_s("f") <= 990


async def test_15_floor() -> None:
    """No interval is shorter than a minute, unless polling.min_interval says otherwise."""
    async with Loopback() as site:
        url = site.script("/feed", OK)
        for floor, expected_s in (("60s", 60), ("5s", 5)):
            async with PollHarness(feed(url, every="1s"), min_interval=floor) as service:
                await service.poll()
                assert expected_s <= await service.wait_s("f") <= expected_s * 1.1


async def test_16_restarts() -> None:
    """Twenty restarts in ten minutes add no poll."""
    async with Loopback() as site:
        url, clock, database = site.script("/feed", OK, UNCHANGED), ManualClock(), None
        for _ in range(20):
            async with PollHarness(feed(url), clock=clock, database=database) as service:
                database = service.database
                await service.poll()
            clock.move(seconds=30)
        assert len(site.asked) == 1


async def test_17_overdue() -> None:
    """Five hundred overdue feeds come back a bounded number at a time, and spread out afterwards."""
    async with Loopback() as site:
        urls = [
            site.script(f"/{n}", OK).replace("127.0.0.1", f"127.0.{1 + n // 250}.{1 + n % 250}") for n in range(500)
        ]
        async with Loopback(host="0.0.0.0", port=0) as everywhere:
            everywhere._scripts = site._scripts
            urls = [url.replace(f":{site.port}/", f":{everywhere.port}/") for url in urls]
            async with PollHarness(*(feed(url, f"f{n}") for n, url in enumerate(urls)), concurrency=32) as service:
                await service.poll()
                assert len(everywhere.asked) == 500
                assert everywhere.max_in_flight <= 32
                waits = [await service.wait_s(f"f{n}") for n in range(0, 500, 10)]
        assert max(waits) - min(waits) > 60


def test_18_no_alignment() -> None:
    """The seconds of the minute at which feeds are polled show no pattern."""
    seconds: Counter[int] = Counter()
    for n in range(2000):
        at = datetime(2026, 1, 5, tzinfo=UTC)
        for _ in range(5):
            at = next_poll_at(f"feed-{n}", interval_s=900, now=at)
        seconds[at.second // 10] += 1
    assert min(seconds.values()) > 0.75 * max(seconds.values())


async def test_19_one_at_a_time() -> None:
    """One request is in flight per host, and a second lies between two to a public one."""
    async with Loopback() as site:
        feeds = [feed(site.script(f"/{n}", OK), f"f{n}") for n in range(8)]
        async with PollHarness(*feeds) as service:
            await service.poll()
        assert (len(site.asked), site.max_in_flight) == (8, 1)
    polite, begun = HostLimiter(1, needs_gap=lambda _: True), []

    async def ask() -> None:
        async with polite.turn("example.org"):
            begun.append(asyncio.get_running_loop().time())

    await asyncio.gather(ask(), ask())
    assert begun[1] - begun[0] >= 0.999


async def test_20_retry_after() -> None:
    """429 with Retry-After: 7200 means not before 7,200 seconds."""
    assert 7200 <= await pause_after(answer(429, Retry_After="7200")) <= 7200 * 1.1


async def test_21_retry_after_date() -> None:
    """A Retry-After date counts from the response's own Date, however wrong the server's clock is."""
    said = datetime(2031, 5, 5, 12, 0, tzinfo=UTC)
    headers = {"Date": format_datetime(said, usegmt=True)}
    headers["Retry-After"] = format_datetime(said + timedelta(hours=3), usegmt=True)
    assert 3 * 3600 <= await pause_after(answer(429, **headers)) <= 3.3 * 3600


async def test_22_503() -> None:
    """503 with Retry-After is honoured likewise."""
    assert 7200 <= await pause_after(answer(503, Retry_After="7200")) <= 7200 * 1.1


async def test_23_bare_429() -> None:
    """A bare 429 or 503 means at least twice the interval, and growing."""
    for status in (429, 503):
        async with Loopback() as site, PollHarness(feed(site.script("/feed", answer(status)))) as service:
            waits = []
            for _ in range(4):
                await service.poll_next("f")
                waits.append(await service.wait_s("f"))
            assert waits[0] >= 2 * 900
            assert all(later > earlier * 1.5 for earlier, later in pairwise(waits))


async def test_24_long_retry_after() -> None:
    """A Retry-After of a week is honoured; one of a year counts as 31 days."""
    assert 7 * DAY_S <= await pause_after(answer(429, Retry_After=str(7 * DAY_S))) <= 7.7 * DAY_S
    assert 30 * DAY_S < await pause_after(answer(429, Retry_After=str(365 * DAY_S))) <= 31 * DAY_S


async def test_25_host_limit() -> None:
    """A 429 on one feed holds back the others of its host, also after a restart and when forced."""
    async with Loopback() as site, Loopback() as other:
        feeds = [
            feed(site.script("/a", answer(429, Retry_After="7200")), "a"),
            feed(site.script("/b", OK), "b"),
            feed(other.script("/c", OK), "c"),
        ]
        async with PollHarness(feeds[0]) as service:
            await service.poll()
            clock, database = service.clock, service.database
            assert [limit.host for limit in await service.hosts()] == [host_key(site.url())]
        async with PollHarness(*feeds, clock=clock, database=database) as service:
            await service.poll()
            await service.force()
            assert (len(site.heard("/b")), len(other.asked)) == (0, 2)
            clock.move(seconds=7300)
            await service.poll()
            assert len(site.heard("/b")) == 1


async def test_26_max_age() -> None:
    """max-age on a 200 is a minimum."""
    assert 7200 <= await pause_after(answer(200, FEED, Cache_Control="public, max-age=7200")) <= 7920


async def test_27_max_age_304() -> None:
    """max-age on a 304 is a minimum too."""
    async with Loopback() as site:
        url = site.script("/feed", OK, answer(304, Cache_Control="max-age=7200"))
        async with PollHarness(feed(url)) as service:
            await service.poll()
            await service.poll_next("f")
            assert 7200 <= await service.wait_s("f") <= 7920


async def test_28_age_and_friends() -> None:
    """Age is subtracted, s-maxage ignored, and no-cache or no-store never mean faster."""
    assert 5400 <= await pause_after(answer(200, FEED, Cache_Control="max-age=7200", Age="1800")) <= 5940
    for control in ("s-maxage=7200", "no-cache", "no-store, max-age=0", "max-age=10", "max-age=nonsense"):
        assert 900 <= await pause_after(answer(200, FEED, Cache_Control=control)) <= 990


async def test_29_expires() -> None:
    """Expires counts only without max-age; garbage and the past mean the default."""
    now, later = "Mon, 05 Jan 2026 08:00:00 GMT", "Mon, 05 Jan 2026 10:00:00 GMT"
    assert 7200 <= await pause_after(answer(200, FEED, Date=now, Expires=later)) <= 7920
    assert 900 <= await pause_after(answer(200, FEED, Date=now, Expires=later, Cache_Control="max-age=60")) <= 990
    for expires in ("0", "-1", "never", now, "Mon, 05 Jan 1970 08:00:00 GMT"):
        assert 900 <= await pause_after(answer(200, FEED, Date=now, Expires=expires)) <= 990


async def test_30_ttl() -> None:
    """RSS ttl is a minimum, for unchanged documents too; one feed may be told to ignore such hints."""
    assert 7200 <= await pause_after(answer(200, document("a", head="<ttl>120</ttl>"))) <= 7920
    assert 900 <= await pause_after(answer(200, document("a", head="<ttl>1</ttl>"))) <= 990
    assert 900 <= await pause_after(answer(200, document("a", head="<ttl>120</ttl>")), ignore_cache_hints=True) <= 990
    async with Loopback() as site:
        said = answer(200, document("a", head="<ttl>120</ttl>"), ETag=ETAG)
        async with PollHarness(feed(site.script("/feed", said, UNCHANGED))) as service:
            await service.poll()
            await service.poll_next("f")
            assert await service.wait_s("f") >= 7200


async def test_31_skip_hours() -> None:
    """skipHours and skipDays (UTC) are kept; when every hour is skipped, nothing is."""
    hours = "".join(f"<hour>{hour}</hour>" for hour in range(9, 18))
    async with Loopback() as site:  # the clock stands at 09:17 on a Monday
        url = site.script("/feed", answer(200, document("a", head=f"<skipHours>{hours}</skipHours>")))
        async with PollHarness(feed(url)) as service:
            await service.poll()
            due = (await service.state("f")).next_poll_at
            assert due is not None
            assert (due.date(), due.hour) == (service.clock.now().date(), 18)
    days = "<skipDays><day>Monday</day><day>Tuesday</day></skipDays>"
    assert await pause_after(answer(200, document("a", head=days))) > 38 * 3600
    every = "".join(f"<hour>{hour}</hour>" for hour in range(24))
    assert await pause_after(answer(200, document("a", head=f"<skipHours>{every}</skipHours>"))) <= 990


async def test_32_syndication() -> None:
    """sy:updatePeriod may slow down, never speed up."""

    def syndicated(period: str, frequency: int) -> bytes:
        head = f"<sy:updatePeriod>{period}</sy:updatePeriod><sy:updateFrequency>{frequency}</sy:updateFrequency>"
        space = b"<rss xmlns:sy='http://purl.org/rss/1.0/modules/syndication/'"
        return answer(200, document("a", head=head).replace(b"<rss", space))

    assert 12 * 3600 <= await pause_after(syndicated("daily", 2)) <= 13.2 * 3600
    assert 900 <= await pause_after(syndicated("hourly", 60)) <= 990


async def test_33_adaptive() -> None:
    """Weeks without news slow a feed down (to a day at most, or max_latency); a new entry ends that."""

    async def interval_after(days: int, **configured: Any) -> tuple[float, float]:
        async with Loopback() as site:
            url = site.script("/feed", answer(200, document("a"), ETag=ETAG), UNCHANGED)
            async with PollHarness(feed(url, **configured)) as service:
                await service.poll()
                service.clock.move(days=days)
                await service.poll()
                quiet_s = await service.wait_s("f")
                site.script("/feed", answer(200, document("b", "a"), ETag='"v2"'))
                await service.poll_next("f")
                return quiet_s, await service.wait_s("f")

    assert (await interval_after(2))[0] <= 990
    three_weeks, after_news = await interval_after(21)
    assert 2 * 3600 < three_weeks < 3 * 3600
    assert 900 <= after_news <= 990
    assert DAY_S <= (await interval_after(365))[0] <= 1.1 * DAY_S
    assert 3600 <= (await interval_after(365, max_latency="1h"))[0] <= 3960


async def test_34_backoff() -> None:
    """Errors back off exponentially with jitter to a day at most, for ever, and end with the first success."""
    async with Loopback() as site, PollHarness(feed(site.script("/feed", answer(500)))) as service:
        waits = []
        for _ in range(14):
            await service.poll_next("f")
            waits.append(await service.wait_s("f"))
        assert waits[0] < 1000
        assert max(waits) <= DAY_S
        assert all(later > earlier for earlier, later in pairwise(waits[:6]))
        assert len({round(wait % 900) for wait in waits[:6]}) > 3
        site.script("/feed", OK)
        state = await service.poll_next("f")
        assert (state.failures, state.last_error) == (0, None)
        assert await service.wait_s("f") <= 990


# --- redirects and endings -------------------------------------------------------------------------


async def test_35_one_request() -> None:
    """A poll is one request and its redirects: nothing is tried twice in secret."""
    for finding in (answer(500), answer(503), b"", b"nonsense\r\n\r\n", answer(200, FEED, Content_Length="9999")):
        async with Loopback() as site, PollHarness(feed(site.script("/feed", finding))) as service:
            await service.poll()
            assert (len(site.asked), site.connections) == (1, 1)


async def moved_by(status: int, target: Answer, *, polls: int = 6, every: str = "10h") -> tuple[str, FeedState]:
    """The URL of a feed that was redirected for a while, relative to the server, and its state."""
    async with Loopback() as site:
        site.script("/new", target)
        async with PollHarness(feed(site.script("/old", redirect(status, "/new")), every=every)) as service:
            for _ in range(polls):
                await service.poll_next("f")
            state = await service.state("f")
            return state.url.removeprefix(site.url("")), state


async def test_36_permanent_move() -> None:
    """301 and 308 become the feed's URL after three confirmations over a day."""
    for status in (301, 308):
        assert (await moved_by(status, OK))[0] == "/new"
        assert (await moved_by(status, OK, polls=3))[0] == "/old"
        assert (await moved_by(status, OK, polls=20, every="15m"))[0] == "/old"


async def test_37_temporary() -> None:
    """302, 303 and 307 never do."""
    for status in (302, 303, 307):
        assert (await moved_by(status, OK, polls=10))[0] == "/old"


async def test_38_move_to_nothing() -> None:
    """A permanent redirect to a login or error page never does."""
    login = answer(200, b"<html><form action=/login><input type=password></form></html>", Content_Type="text/html")
    for target in (login, answer(404), answer(500), answer(200, b"")):
        assert (await moved_by(301, target, polls=12))[0] == "/old"


async def test_39_gone() -> None:
    """410 ends polling, is told, and leaves the entries."""
    async with Loopback() as site, PollHarness(feed(site.script("/feed", OK, answer(410)))) as service:
        await service.poll()
        state = await service.poll_next("f")
        assert (state.health, state.next_poll_at) == (Health.GONE, None)
        service.clock.move(days=400)
        assert await service.poll() == ()
        assert len(await service.entries("f")) == 2


async def test_40_refused_for_days() -> None:
    """404, 401 or 403 for days means a weekly probe, and one notice."""
    for status in (404, 401, 403):
        async with Loopback() as site, PollHarness(feed(site.script("/feed", OK, answer(status)))) as service:
            moods = [(await service.poll_next("f")).health for _ in range(20)]
            assert 6 * DAY_S < await service.wait_s("f") <= 7 * DAY_S
            assert sum(after is not before for before, after in pairwise(moods)) == 1


async def test_41_redirect_limits() -> None:
    """At most five redirects; Location may be relative; circles and other schemes are refused."""
    async with Loopback() as site, PollHarness(feed(site.url("/0"))) as service:
        for n in range(7):
            site.script(f"/{n}", redirect(302, f"/{n + 1}"))
        site.script("/deep/a", redirect(302, "../fine?x=1"))
        site.script("/fine?x=1", OK)
        site.script("/circle", redirect(302, "/elcric"))
        site.script("/elcric", redirect(302, "/circle"))
        site.script("/5", OK)

        async def ask(path: str) -> object:
            return await service.fetcher.fetch(feed(site.url(path)), state_of(site.url(path)))

        assert (await ask("/deep/a")).url == site.url("/fine?x=1")  # type: ignore[attr-defined]
        assert len((await ask("/0")).hops) == 5  # type: ignore[attr-defined]
        site.script("/5", redirect(302, "/6"))
        site.script("/6", OK)
        for path, words in (("/0", "more than 5 redirects"), ("/circle", "redirect loop")):
            with pytest.raises(BadStatus, match=words):
                await ask(path)
        for location in ("file:///etc/passwd", "ftp://127.0.0.1/feed", "gopher://127.0.0.1/", "data:text/xml,<rss/>"):
            site.script("/odd", redirect(302, location))
            with pytest.raises(Forbidden):
                await ask("/odd")


async def test_42_other_origins() -> None:
    """Credentials, custom headers and validators are not sent to another origin."""
    async with Loopback() as site, Loopback() as other:
        own = feed(
            site.script("/feed", redirect(302, "/moved")),
            auth={"user": "u", "password": "p"},
            headers={"X-Key": "secret"},
        )
        site.script("/moved", redirect(302, other.script("/there", redirect(302, site.script("/back", OK)))))
        async with PollHarness(own) as service:
            state = state_of(own.url, validators=Validators(url=own.url, etag=ETAG))
            await service.fetcher.fetch(own, state)
        home, same_origin, back = site.asked
        assert home.header("Authorization")
        assert home.header("X-Key") == "secret"
        assert home.header("If-None-Match") == ETAG
        assert same_origin.header("Authorization")
        assert same_origin.header("If-None-Match") is None
        for asked in (other.asked[0], back):
            assert not {"authorization", "x-key", "cookie", "if-none-match"} & {
                name.lower() for name, _ in asked.headers
            }


# --- manners and limits ----------------------------------------------------------------------------


async def test_43_user_agent() -> None:
    """The User-Agent names program, version and who runs it, where that is configured, and stays the same."""
    async with Loopback() as site, PollHarness(feed(site.script("/feed", OK, UNCHANGED, OK))) as service:
        await service.poll()
        await service.poll_next("f")
        assert [asked.header("User-Agent") for asked in site.asked] == ["aggregator/1.2.3 (+https://desk.example/)"] * 2
        async with open_fetcher(service.config.settings.http, Polling(), version="1.2.3") as nobody:
            await nobody.fetch(feed(site.url("/feed")), state_of(site.url("/feed")))
        assert site.asked[-1].header("User-Agent") == "aggregator/1.2.3"


async def test_44_request() -> None:
    """gzip and br are understood; Accept asks for feeds; no Referer, no cookie beyond a redirect, no cache-buster."""
    for packed, name in ((gzip.compress(FEED), "gzip"), (brotli.compress(FEED), "br")):
        said = answer(200, packed, Content_Encoding=name, Set_Cookie="a=b", ETag=ETAG)
        async with Loopback() as site:
            async with PollHarness(feed(site.script("/feed?x=1", said, redirect(302, "/next")))) as service:
                await service.poll()
                await service.poll_next("f")
                assert len(await service.entries("f")) == 2
            for asked in site.asked:
                names = {key.lower() for key, _ in asked.headers}
                assert not names & {"referer", "cookie", "cache-control", "pragma"}
                assert {"gzip", "br"} <= set((asked.header("Accept-Encoding") or "").split(", "))
                assert "application/atom+xml" in (asked.header("Accept") or "")
            assert [asked.target for asked in site.asked] == ["/feed?x=1", "/feed?x=1", "/next"]
    async with Loopback() as site, Loopback() as other:
        there = other.script("/there", redirect(302, site.script("/back", OK)))
        site.script(
            "/feed", redirect(302, "/feed", Set_Cookie="seen=1; Path=/feed"), redirect(302, there, Set_Cookie="b=2")
        )
        async with PollHarness(feed(site.url("/feed"))) as service:
            await service.poll()
            site.script("/feed", OK)
            await service.poll_next("f")
        cookies = [asked.header("Cookie") for asked in site.asked]
        assert cookies == [None, "seen=1", "b=2", None], "kept within the chain, forgotten with it"
        assert other.asked[0].header("Cookie") is None


async def test_45_delta() -> None:
    """A-IM: feed goes out only with a validator; a 226 is added to what is there, nothing is taken away."""
    async with Loopback() as site:
        delta = answer(226, document("c"), ETag='"v2"', IM="feed")
        async with PollHarness(
            feed(site.script("/feed", answer(200, document("b", "a"), ETag=ETAG), delta))
        ) as service:
            await service.poll()
            state = await service.poll_next("f")
            assert [asked.header("A-IM") for asked in site.asked] == [None, "feed"]
            assert {entry.title for entry in await service.entries("f")} == {"a", "b", "c"}
            assert state.health is Health.OK
            assert state.items == 2
            assert state.validators is not None
            assert state.validators.etag == '"v2"'


async def test_what_is_packed_as_it_was_is_the_same() -> None:
    """A server without validators that packs as it did: the same body is left out; in another coding it is read."""
    one, two = document("a"), document("b", "a")
    first, again, changed = (
        answer(200, gzip.compress(body, mtime=0), Content_Encoding="gzip") for body in (one, one, two)
    )
    repacked = answer(200, brotli.compress(two), Content_Encoding="br")
    async with Loopback() as site:
        url = site.script("/feed", first, again, changed, again, changed, changed, repacked, answer(200, two))
        async with PollHarness(feed(url)) as service:
            await service.poll()
            state = await service.state("f")
            found = [await service.fetcher.fetch(feed(url), state) for _ in range(2)]
            assert [(one.unchanged, one.body) for one in found if isinstance(one, Fetched)] == [
                (True, b""),
                (False, two),
            ]
            for _ in range(5):
                state = await service.poll_next("f")
            _, same, *_, read, whole = state.parse_levels
            assert (same, read + whole, state.failures) == (4, 2, 0)


async def test_46_caps() -> None:
    """Ten MiB decoded, 200 times expanded, a deadline for all and one for connecting; a slow drip is cut."""
    big = answer(200, b" " * (10 * 2**20 + 1))
    zeros = b"\0" * (9 * 2**20)
    bombs = [answer(200, gzip.compress(zeros), Content_Encoding="gzip")]
    bombs.append(answer(200, brotli.compress(zeros), Content_Encoding="br"))
    endless = answer(200, Content_Length="99999999999")
    for said in (big, endless, *bombs):
        assert isinstance(await failure(said), TooLarge)
    loop = asyncio.get_running_loop()
    for slow in (drip(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"), drip(b"HTTP/1.1 200 OK\r\nA: ", b"b")):
        began = loop.time()
        assert isinstance(await failure(slow), Unreachable)
        assert 1.9 <= loop.time() - began < 3


async def test_47_lying_length() -> None:
    """A wrong Content-Length, a cut chunked body or a cut stream is a failure, never half a document."""
    chunked = {"Transfer-Encoding": "chunked"}
    cut = [
        answer(200, FEED, Content_Length=str(len(FEED) + 1)),
        answer(200, FEED, Content_Length=str(len(FEED) - 1)),
        answer(200, b"5\r\nhello\r\n", **chunked),
        answer(200, b"5\r\nhel", **chunked),
        answer(200, b"xyz\r\nhello\r\n0\r\n\r\n", **chunked),
        answer(200, gzip.compress(FEED)[:-9], Content_Encoding="gzip"),
        answer(200, brotli.compress(FEED)[:-3], Content_Encoding="br"),
    ]
    for said in cut:
        assert isinstance(await failure(said), Unreachable)


async def test_48_tls() -> None:
    """TLS is verified; only a feed that says verify_tls: false is fetched all the same."""
    async with Loopback(tls=server_context()) as site, PollHarness(feed(site.script("/feed", OK))) as service:
        with pytest.raises(Unreachable, match="TLS: certificate"):
            await service.fetcher.fetch(feed(site.url("/feed")), state_of(site.url("/feed")))
        trusting = feed(site.url("/feed"), verify_tls=False)
        assert (await service.fetcher.fetch(trusting, state_of(trusting.url))).url == trusting.url


async def test_49_together() -> None:
    """Validators are committed with the entries they vouch for, or not at all."""
    async with Loopback() as site:
        url = site.script("/feed", OK)
        async with PollHarness(feed(url)) as service:
            response = await service.fetcher.fetch(feed(url), await service.state("f"))
            assert not isinstance(response, NotModified)
            assert response.validators is not None
            assert (await service.state("f")).validators is None  # fetched, and then the process died
            await service.poll()
            state = await service.state("f")
            assert state.validators is not None
            assert len(await service.entries("f")) == 2


async def test_50_websub() -> None:
    """WebSub: subscribes where a hub is offered and we can be reached, polls on slowly, refuses bad signatures."""
    async with Loopback() as site:
        hub = site.script("/hub", answer(202))
        url = site.script("/feed", answer(200, document("a"), Link=f'<{hub}>; rel="hub", </feed>; rel="self"'))
        async with PollHarness(feed(url)) as service:
            await service.poll()
            state, now = await service.state("f"), service.clock.now()
            assert (state.hub, state.self_url) == (hub, url)
            asked = websub.HubSubscription(feed="f", hub=hub, topic=url, callback="x", secret="s3", asked_at=now)
            callback = "https://public.example/websub/x"
            await service.fetcher.subscribe(asked, callback, home=asked.topic)
            form = dict(parse_qsl(site.heard("/hub")[0].body.decode()))
            assert (form["hub.mode"], form["hub.topic"], form["hub.callback"]) == ("subscribe", url, callback)
            question = {"hub.mode": "subscribe", "hub.topic": url, "hub.challenge": "c", "hub.lease_seconds": "86400"}
            verdict = websub.verify(asked, question, now)
            live = verdict.subscription
            assert verdict.reply == "c"
            assert websub.is_live(live, now)

            body = document("b", "a")
            forged = hmac.new(b"wrong", body, "sha256").hexdigest()
            assert not websub.is_genuine(live, f"sha256={forged}", body)
            assert websub.is_genuine(live, "sha256=" + hmac.new(b"s3", body, "sha256").hexdigest(), body)
            await service.push(feed(url), websub.pushed(live, body, "application/rss+xml"))
            assert {entry.title for entry in await service.entries("f")} == {"a", "b"}

            response = NotModified(url=url)
            after, _ = after_success(
                state, feed(url), service.config.settings.polling, response=response, pushed=True, now=now
            )
            assert after.next_poll_at is not None
            assert timedelta(hours=1) <= after.next_poll_at - now <= timedelta(hours=1.1)
