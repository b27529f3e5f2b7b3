"""What the demo says at its end."""

from datetime import UTC, datetime

from aggregator.core.model import Entry, Hit, HitDetail, HitState
from aggregator.demo.news import PUBLISHERS, STARTS_AT
from aggregator.demo.show import held_back

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def detail(entry: Entry, rule: str, state: HitState, reason: str = "") -> HitDetail:
    hit = Hit(
        id=f"{rule}-{entry.key}", rule=rule, feed=entry.feed, entry_key=entry.key, created_at=NOW, state=state,
        reason=reason,
    )  # fmt: skip
    return HitDetail(hit=hit, entry=entry, feed_title=entry.feed, rule_title=rule)


def test_what_was_held_back_is_said_with_its_reason() -> None:
    """Each entry once, whatever the number of its rules; then decoys that no rule matches; alerts are left out."""
    named = {"old": "Old news", "sent": "Sent", "copy": "Sent again", "other": "Weather"}
    decoys = {item.slug: item.title for item in STARTS_AT if item.decoy}
    entries = {
        key: Entry(feed=PUBLISHERS[0].id, key=key, title=title, content_hash=b"", seen_at=NOW)
        for key, title in (named | decoys).items()
    }
    matched_after_all = next(iter(decoys))
    hits = [
        detail(entries["sent"], "s400", HitState.ALERTED),
        detail(entries["copy"], "s400", HitState.COLLAPSED, "s1"),
        detail(entries["copy"], "caatsa", HitState.COLLAPSED, "s1"),
        detail(entries["old"], "s400", HitState.HELD, "baseline"),
        detail(entries[matched_after_all], "s400", HitState.ALERTED),
    ]
    found = {title: reason for title, _, reason in held_back(hits, list(entries.values()))}
    assert found.pop("Old news") == "not alerted: already there at first poll"
    assert found.pop("Sent again") == "duplicate of an alerted story"
    assert found.keys() == set(decoys.values()) - {decoys[matched_after_all]}
    assert all(reason.startswith("no rule matches: ") for reason in found.values())
