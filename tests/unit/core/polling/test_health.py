"""Feed health: its changes make notices, and nothing else does."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from aggregator.core.errors import AggregatorError, BadStatus, ParseError, Unreachable
from aggregator.core.model import FeedState, Fetched, Health, Notice, NotModified, ParsedFeed, ParseLevel
from aggregator.core.polling.health import transition
from aggregator.core.polling.schedule import after_failure, after_success
from aggregator.core.settings import Feed, HealthSettings, Polling

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
URL = "http://news.example/feed"
SETTINGS = HealthSettings()


class Diary:
    """A feed's life: what happens to it, and what is told."""

    def __init__(self, **state: object) -> None:
        plain = FeedState(id="news", url=URL, configured_url=URL, title="News", items=20)
        self.state = replace(plain, **state)
        self.now = NOW
        self.told: list[str] = []

    def polled(
        self, *, items: int = 20, new: int = 0, hours: float = 1, hops: tuple[tuple[int, str], ...] = ()
    ) -> "Diary":
        parsed = ParsedFeed(parse_level=ParseLevel.FULL, items=items)
        response = Fetched(url="http://moved.example/" if hops else self.state.url, status=200, body=b"x", hops=hops)
        return self._go(
            hours,
            lambda: after_success(
                self.state, Feed(url=URL), Polling(), response=response, parsed=parsed, new_entries=new, now=self.now
            )[0],
        )

    def unchanged(self, hours: float = 1) -> "Diary":
        return self._go(
            hours,
            lambda: after_success(self.state, Feed(url=URL), Polling(), response=NotModified(url=URL), now=self.now)[0],
        )

    def failed(self, error: AggregatorError, hours: float = 1) -> "Diary":
        return self._go(hours, lambda: after_failure(self.state, Feed(url=URL), Polling(), error, now=self.now)[0])

    def _go(self, hours: float, step: object) -> "Diary":
        self.now += timedelta(hours=hours)
        after = step()  # type: ignore[operator]
        notice = transition(self.state, after, SETTINGS, self.now)
        self.told += [notice.title] if notice else []
        self.state = after
        return self


refused = Unreachable("news.example: connection refused", url=URL)
challenge = BadStatus("news.example: a Cloudflare challenge", status=403, found="challenge", url=URL)
login = ParseError("This is a login page.", found="login page")
page = ParseError("This is a web page.", found="html")


def test_failing_and_recovered() -> None:
    """Three failures in a row are news once, and so is the recovery."""
    diary = Diary(health=Health.OK).failed(refused).failed(refused)
    assert (diary.told, diary.state.health) == ([], Health.OK)
    diary.failed(refused).failed(refused).failed(challenge)
    assert (diary.told, diary.state.health) == (["News: cannot be polled"], Health.FAILING)
    diary.polled().polled()
    assert diary.told == ["News: cannot be polled", "News: recovered"]


def test_a_single_failure_is_no_news() -> None:
    """Failures that end before the third are never told."""
    diary = Diary(health=Health.OK)
    for _ in range(10):
        diary.failed(refused).failed(refused).polled(new=1)
    assert diary.told == []


@pytest.mark.parametrize("error", [challenge, login, page])
def test_blocked(error: AggregatorError) -> None:
    """Two answers of a challenge, login page or web page mean that blocked by the site; the notice says which."""
    diary = Diary(health=Health.OK).failed(error)
    assert diary.told == []
    diary.failed(error)
    assert (diary.told, diary.state.health) == (["News: blocked by the site"], Health.BLOCKED)
    notice = transition(replace(diary.state, health=Health.OK), diary.state, SETTINGS, diary.now)
    assert isinstance(notice, Notice)
    assert str(error) in notice.body
    assert ".." not in notice.body  # some errors bring their own full stop


def test_gone() -> None:
    """410 is told at once; a later success, asked for by hand, is a recovery."""
    diary = Diary(health=Health.OK).failed(BadStatus("gone", status=410, url=URL)).failed(refused)
    assert (diary.told, diary.state.next_poll_at) == (["News: permanently removed"], None)
    assert diary.polled().told[-1] == "News: recovered"
    assert diary.state.next_poll_at is not None


def test_silent() -> None:
    """A feed is silent against its own rhythm, not by the clock."""
    daily = Diary(health=Health.OK, gap_s=86_400.0, last_new_at=NOW, first_polled_at=NOW)
    assert daily.unchanged(hours=24 * 4).told == []
    assert daily.unchanged(hours=25).told == ["News: unusually quiet"]
    assert daily.unchanged(hours=24).polled(new=1).told == ["News: unusually quiet", "News: recovered"]
    hourly = Diary(health=Health.OK, gap_s=3600.0, last_new_at=NOW, first_polled_at=NOW)
    assert hourly.unchanged(hours=12).told == []  # nights are quiet
    assert hourly.unchanged(hours=13).told == ["News: unusually quiet"]


def test_no_silence_after_failures() -> None:
    """A feed that has just come back is not called silent for the time it could not speak."""
    diary = Diary(health=Health.OK, gap_s=3600.0, last_new_at=NOW, first_polled_at=NOW)
    diary.failed(refused, 24).failed(refused, 24).failed(refused, 24).unchanged()
    assert diary.told == ["News: cannot be polled", "News: recovered"]


def test_emptied() -> None:
    """A document without entries is news where there were some; their return is too."""
    diary = Diary(health=Health.OK).polled(items=0).unchanged().polled(items=0)
    assert (diary.told, diary.state.health) == (["News: no longer has any entries"], Health.EMPTIED)
    assert diary.polled(items=3).told[-1] == "News: recovered"
    assert Diary(items=0).polled(items=0).told == []


def test_moved() -> None:
    """A confirmed move is told once, with both addresses; the next poll is quiet."""
    diary = Diary(health=Health.OK)
    for _ in range(3):
        diary.polled(hours=13, hops=((301, URL),))
    assert diary.told == ["News: has moved"]
    assert diary.state.url == "http://moved.example/"
    assert diary.polled().told == ["News: has moved"]


def test_new_feeds() -> None:
    """A first success is no news; a feed that never worked fails like any other."""
    assert Diary().polled(new=20).told == []
    never = Diary().failed(refused).failed(refused).failed(refused)
    assert (never.told, never.state.health) == (["News: cannot be polled"], Health.FAILING)


def test_paused() -> None:
    """Polls by hand of a paused feed make no news, and the pause does not stick to its health."""
    diary = Diary(health=Health.PAUSED, last_ok_at=NOW).failed(refused)
    assert (diary.told, diary.state.health) == ([], Health.OK)
    assert Diary(health=Health.PAUSED).polled().state.health is Health.OK


def test_health_since() -> None:
    """The date of a health is that of its last change."""
    diary = Diary(health=Health.OK, health_since=NOW).failed(refused).failed(refused)
    assert diary.state.health_since == NOW
    assert diary.failed(refused).state.health_since == NOW + timedelta(hours=3)


def test_a_selector_that_finds_nothing_is_news_from_the_first_poll_on() -> None:
    """In its own words, which stay while the page does not change; the return is news as well."""
    life = Diary(items=0)
    nothing = ParsedFeed(parse_level=ParseLevel.FULL, nothing="The page answers, but `article` finds nothing.")
    answer = Fetched(url=URL, status=200, body=b"x")

    def polled(parsed: ParsedFeed | None) -> None:
        life._go(
            1,
            lambda: after_success(life.state, Feed(url=URL), Polling(), response=answer, parsed=parsed, now=life.now)[
                0
            ],
        )

    polled(nothing)
    assert (life.state.health, life.state.last_error) == (Health.EMPTIED, nothing.nothing)
    life.unchanged()
    assert (life.state.health, life.state.last_error) == (Health.EMPTIED, nothing.nothing)
    polled(ParsedFeed(parse_level=ParseLevel.FULL, items=3))
    assert (life.state.health, life.state.last_error) == (Health.OK, None)
    polled(nothing)
    assert life.told == ["News: no longer has any entries", "News: recovered", "News: no longer has any entries"]
    life.state = replace(life.state, failures=1, last_error="HTTP 500")  # what a failure said ends with it
    life.unchanged()
    assert (life.state.health, life.state.last_error) == (Health.EMPTIED, None)


def test_the_notice_of_a_page_says_what_is_not_found() -> None:
    """And how much there was."""
    before = FeedState(id="news", url=URL, configured_url=URL, title="News", items=8, health=Health.OK)
    after = replace(before, health=Health.EMPTIED, last_error="The page answers, but `li` finds nothing.", items=0)
    notice = transition(before, after, SETTINGS, NOW)
    assert notice is not None
    assert notice.body == "The page answers, but `li` finds nothing. It had 8 entries."
