"""What an alert holds, and in which order."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

from msgspec.structs import replace

from aggregator.core.delivery import compose, split
from aggregator.core.model import AlertKind, Delivery, DeliveryState, Entry, Hit, HitDetail, HitState
from aggregator.core.settings import Channel

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ROW = Delivery(id="d1", channel="desk", created_at=NOW, due_at=NOW, title="T", kind=AlertKind.DIGEST)


def detail(number: int, published_at: datetime | None) -> HitDetail:
    """A hit whose id says nothing about when it was."""
    entry = Entry(id=number, feed="f", key=str(number), title=f"t{number}", seen_at=NOW, published_at=published_at)
    hit = Hit(id=f"{number * 7919 % 10:x}", rule="r", feed="f", entry_key=str(number), entry_id=number, created_at=NOW)
    return HitDetail(hit=hit, entry=entry, feed_title="F", rule_title="R")


def test_a_digest_goes_by_time() -> None:
    """The newest first, however the store lists them; a date in the future counts as now, none as the time seen."""
    hours = [timedelta(hours=hour) for hour in (1, 5, 3)]
    found = [detail(number, NOW - passed) for number, passed in enumerate(hours, 1)]
    found += [detail(4, NOW + timedelta(days=400)), detail(5, None)]
    for shuffled in permutations(found):
        alert = compose(ROW, shuffled, Channel(name="desk"))
        assert [one.entry.title for one in alert.hits] == ["t5", "t4", "t1", "t3", "t2"]


def test_a_row_for_all_becomes_one_for_each() -> None:
    """Each keeps what was tried and when; the claim that it was split under counts for none of them."""
    claimed = replace(ROW, state=DeliveryState.SENDING, attempts=3, tried_at=NOW, repeat=True, lease_owner="me")
    ann, bob = split(claimed, ("ann", "bob"))
    assert (ann.recipient, bob.recipient, len({ROW.id, ann.id, bob.id})) == ("ann", "bob", 3)
    assert (ann.state, ann.attempts, ann.tried_at, ann.repeat, ann.lease_owner) == (
        DeliveryState.RETRY, 2, NOW, True, None,
    )  # fmt: skip
    assert split(replace(ROW, attempts=1), ("ann",))[0].state is DeliveryState.PENDING


def test_a_digest_of_several_stories_gives_no_reason_of_one() -> None:
    """An update in it is no reason of the whole; what is the reason of all its hits is, and so is that of one story."""

    def why(*found: tuple[str, str]) -> str:
        details = [detail(number, NOW) for number in range(len(found))]
        alerted = [
            replace(one, hit=replace(one.hit, story=story, state=HitState.ALERTED, reason=reason))
            for one, (story, reason) in zip(details, found, strict=True)
        ]
        return compose(ROW, alerted, Channel(name="desk")).why

    assert why(("s1", "update to: Quake"), ("s2", "")) == ""
    assert why(("s1", "also matches S-400"), ("s1", "")) == "also matches S-400"
    assert why(("s1", "3 hits in 1 h"), ("s2", "3 hits in 1 h")) == "3 hits in 1 h"
