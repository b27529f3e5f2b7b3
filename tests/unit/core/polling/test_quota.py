"""The daily budget of a feed, and the notice when it is exhausted."""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from aggregator.core.model import Entry, FeedState, Reason, StoredToday
from aggregator.core.polling.quota import is_needed, limited, notice, size_of
from aggregator.core.settings import Polling

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
STATE = FeedState(id="f", url="http://f.example/", configured_url="http://f.example/", last_ok_at=NOW)
POLLING = Polling(daily_entries=10, daily_bytes=10_000)


def entries(count: int, *, content: str = "", start: int = 0) -> list[Entry]:
    return [
        Entry(feed="f", key=f"k{n}", title=f"t{n}", content=content, seen_at=NOW) for n in range(start, start + count)
    ]


def test_within_the_budget_everything_is_stored() -> None:
    """And counted, in entries and bytes."""
    many = entries(10)
    kept, today = limited(many, (), STATE, POLLING, NOW)
    assert kept == tuple(many)
    assert (today.entries, today.bytes, today.left_out) == (10, sum(map(size_of, many)), 0)


def test_beyond_it_only_what_alerts_hang_on() -> None:
    """By count and by bytes alike; the order stays."""
    kept, today = limited(entries(20), {"k15", "k3"}, STATE, POLLING, NOW)
    assert [entry.key for entry in kept] == [*(f"k{n}" for n in range(10)), "k15"]
    assert (today.entries, today.left_out) == (11, 9)
    kept, today = limited(entries(5, content="x" * 4000), {"k4"}, STATE, POLLING, NOW)
    assert [entry.key for entry in kept] == ["k0", "k1", "k4"]
    assert today.left_out == 2


def test_polls_of_one_day_add_up_and_midnight_clears() -> None:
    """Every poll goes on where the last one ended; the next day begins anew."""
    _, today = limited(entries(8), (), STATE, POLLING, NOW)
    kept, today = limited(entries(8, start=8), (), replace(STATE, stored_today=today), POLLING, NOW)
    assert (len(kept), today.left_out) == (2, 6)
    kept, today = limited(
        entries(8, start=16), (), replace(STATE, stored_today=today), POLLING, NOW + timedelta(hours=15)
    )
    assert (len(kept), today.entries, today.left_out) == (8, 8, 0)


def test_a_first_poll_is_never_cut() -> None:
    """It is the memory of what was there before: what is left out of it would look new."""
    kept, _ = limited(entries(50), (), replace(STATE, last_ok_at=None), POLLING, NOW)
    assert len(kept) == 50


def test_edits_alert_only_by_a_rule_that_wants_them() -> None:
    """An edit's hit counts only with `on_update`; a new entry's always."""
    new = entries(1)[0]
    edit = replace(new, reason=Reason.CHANGED)
    assert is_needed(new, on_update=False)
    assert (is_needed(edit, on_update=True), is_needed(edit, on_update=False)) == (True, False)


def test_it_is_said_once_a_day() -> None:
    """When the first entry is left out, with the figures and the remedy."""
    full = replace(STATE, stored_today=StoredToday(day="2026-03-02", entries=10, bytes=3 * 2**20, left_out=1))
    said = notice(STATE, full, POLLING, NOW)
    assert said is not None
    assert "10 entries and 3 MiB" in said.body
    assert "daily_entries" in said.body
    assert notice(full, full, POLLING, NOW) is None
    assert notice(STATE, STATE, POLLING, NOW) is None
