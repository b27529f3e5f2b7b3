"""Daily storage budget of a feed. Entries that a rule needs are stored regardless of the budget.

Beyond the budget, entries that no alert needs are left out: new ones without a hit, edits without a hit
of a rule with `on_update`. They are matched all the same, and are as unknown to the next poll as they
were to this one. A first poll is never cut, because it records what was there before.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from aggregator.core.model import Entry, FeedState, Notice, Reason, StoredToday

if TYPE_CHECKING:
    from aggregator.core.settings import Polling


def limited(
    entries: Sequence[Entry], needed: Collection[str], state: FeedState, polling: "Polling", now: datetime
) -> tuple[tuple[Entry, ...], StoredToday]:
    """Return the entries to store and the feed's new daily count; `needed` are keys that alerts depend on."""
    today = of_day(state.stored_today, now)
    count, size, left_out = today.entries, today.bytes, today.left_out
    kept: list[Entry] = []
    for entry in entries:
        cost = size_of(entry)
        fits = count < polling.daily_entries and size + cost <= polling.daily_bytes
        if not (fits or entry.key in needed or state.last_ok_at is None):
            left_out += 1
            continue
        count, size = count + 1, size + cost
        kept.append(entry)
    return tuple(kept), StoredToday(day=today.day, entries=count, bytes=size, left_out=left_out)


def is_needed(entry: Entry, *, on_update: bool) -> bool:
    """Tell whether an entry with a hit may alert; `on_update`: one of its rules alerts on edits, too."""
    return entry.reason is not Reason.CHANGED or on_update


def of_day(stored: StoredToday | None, now: datetime) -> StoredToday:
    """Return the count of the present day, in UTC."""
    day = now.date().isoformat()
    return stored if stored is not None and stored.day == day else StoredToday(day=day)


def size_of(entry: Entry) -> int:
    """Return roughly how many bytes an entry takes."""
    texts = (entry.key, entry.guid, entry.link, entry.title, entry.summary, entry.content, entry.author)
    more = (*entry.aliases, *entry.categories, *entry.enclosures)
    return sum(len(text.encode("utf-8", "replace")) for text in (*texts, *more) if text)


def notice(before: FeedState, after: FeedState, polling: "Polling", now: datetime) -> Notice | None:
    """Return the notice, once a day, that a feed's budget is exhausted."""
    today = after.stored_today
    if today is None or not today.left_out or of_day(before.stored_today, now).left_out:
        return None
    return Notice(
        title=f"{after.title or after.id}: daily storage budget used up",
        body=f"It published {today.entries} entries and {today.bytes // 2**20} MiB today; the budget is "
        f"{polling.daily_entries} entries and {polling.daily_bytes // 2**20} MiB. Rules keep matching and alerting; "
        "entries that no alert needs are not stored until midnight UTC. If that is too little, raise "
        "settings.polling.daily_entries or daily_size.",
    )
