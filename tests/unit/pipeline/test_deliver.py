"""Delivery over the store in memory and a notifier that fails on demand."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from msgspec import structs

from aggregator.core.errors import DeliveryError, StoreError
from aggregator.core.model import (
    AlertKind,
    Delivery,
    DeliveryState,
    Entry,
    Fingerprint,
    Hit,
    HitState,
    Notice,
    Silence,
    Story,
)
from aggregator.core.routing import whole_channel
from aggregator.core.settings import Channel, Config, RuleConfig
from aggregator.pipeline.context import Context, activate
from aggregator.pipeline.deliver import MAX_CLAIMED, Deliver
from aggregator.pipeline.delivery_batch import Circuit
from aggregator.pipeline.delivery_counts import DeliveryCounts
from tests.support.fake_notifier import FakeNotifier
from tests.support.memory_store import MemoryStore

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The application speaks asyncio."""
    return "asyncio"


@dataclass
class FakeClock:
    """A clock that is set."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class Desk:
    """A deliver verb with everything around it."""

    store: MemoryStore
    notifier: FakeNotifier
    clock: FakeClock
    verb: Deliver

    async def tick(self, at: datetime | None = None, **options: Any) -> DeliveryCounts:
        self.clock.at = at or self.clock.at
        return await self.verb.tick(self.clock.at, **options)

    def row(self, name: str) -> Delivery:
        return self.store.tables.deliveries[name]

    def state(self, name: str) -> DeliveryState:
        return self.row(name).state


def desk(
    *channels: Channel,
    rules: Sequence[RuleConfig] = (),
    recipients: Callable[[Channel], Sequence[str]] = whole_channel,
    **settings: Any,
) -> Desk:
    """A desk with these channels."""
    config = Config(channels={channel.name: channel for channel in channels}, rules=tuple(rules), settings=settings)
    store, notifier, clock = MemoryStore(index_text=lambda entry: entry.title), FakeNotifier(), FakeClock()
    active = activate(config, recipients=recipients)
    verb = Deliver(Context(config=lambda: active, clock=clock, owner="me"), store.outbox, notifier)
    return Desk(store, notifier, clock, verb)


def told(backend: Desk, name: str, rule: str = "s400") -> str:
    """A stored hit; gives its id."""
    number = backend.store.tables.number()
    entry = Entry(id=number, feed="tass", key=name, title=f"Title {name}", seen_at=NOW)
    hit = Hit(id=f"hit-{name}", rule=rule, feed="tass", entry_key=name, entry_id=number, created_at=NOW)
    backend.store.tables.entries[number] = entry
    backend.store.tables.hits[hit.id] = hit
    return hit.id


async def put(backend: Desk, *names: str, channel: str = "desk", **changes: Any) -> None:
    """Rows in the outbox, each with a hit."""
    for name in names:
        row = Delivery(
            id=name,
            channel=channel,
            rules=("s400",),
            hits=(told(backend, name),),
            title=name,
            created_at=NOW,
            due_at=NOW,
        )
        await backend.store.outbox.add([structs.replace(row, **changes)])


async def test_what_is_due_is_sent_once() -> None:
    """A due alert is said with its entry, recorded as sent, and never said again."""
    it = desk(Channel(name="desk", service="console"))
    await put(it, "a")
    assert await it.tick() == DeliveryCounts(sent=1)
    assert await it.tick(NOW + timedelta(days=1)) == DeliveryCounts()
    assert [alert.hits[0].entry.title for _, alert, _ in it.notifier.said] == ["Title a"]
    assert it.row("a").sent_at == NOW


async def test_an_alert_names_its_rule_by_its_title() -> None:
    """People read the title of a rule; one without a title, or gone by now, is named by its id."""
    rule = RuleConfig(id="s400", title="S-400 and Turkey")
    it = desk(Channel(name="desk", service="console"), rules=[rule, RuleConfig(id="su57")])
    await put(it, "a")
    await put(it, "b", hits=(told(it, "hit-of-b", "su57"),))
    await put(it, "c", hits=(told(it, "hit-of-c", "gone"),))
    await it.tick()
    titles = {alert.title: alert.hits[0].rule_title for _, alert, _ in it.notifier.said}
    assert titles == {"a": "S-400 and Turkey", "b": "su57", "c": "gone"}


async def test_a_temporary_failure_is_tried_again_when_its_time_has_come() -> None:
    """A row that failed for now waits out its time and is then sent, with two attempts on record."""
    it = desk(Channel(name="desk", service="console"))
    await put(it, "a")
    it.notifier.fails["desk"] = DeliveryError("channel desk: 421 busy", channel="desk")
    assert await it.tick() == DeliveryCounts(retry=1)
    assert it.row("a").last_error == "channel desk: 421 busy"
    it.notifier.fails.clear()
    assert await it.tick(NOW + timedelta(seconds=20)) == DeliveryCounts()
    assert await it.tick(NOW + timedelta(seconds=31)) == DeliveryCounts(sent=1)
    assert it.row("a").attempts == 2


async def test_smtp_down_for_three_hours() -> None:
    """An outage of three hours delays an alert and loses nothing; retries grow rare."""
    it = desk(Channel(name="desk", service="console"))
    await put(it, "a")
    it.notifier.fails["desk"] = DeliveryError("connection refused", channel="desk")
    at = NOW
    while at < NOW + timedelta(hours=3):
        await it.tick(at)
        at += timedelta(seconds=10)
    assert it.row("a").attempts <= 12
    it.notifier.fails.clear()
    assert await it.tick(at + timedelta(hours=1)) == DeliveryCounts(sent=1)


async def test_retry_after_is_obeyed() -> None:
    """A channel that asks for ten minutes gets ten minutes."""
    it = desk(Channel(name="desk", service="console"))
    await put(it, "a")
    it.notifier.fails["desk"] = DeliveryError("429", channel="desk", retry_after_s=600)
    await it.tick()
    assert it.row("a").due_at == NOW + timedelta(seconds=600)


async def test_a_refusal_is_reported_on_the_fallback_channel() -> None:
    """A permanent failure is dead and visible, and another channel tells a person."""
    it = desk(Channel(name="desk", service="console", fallback="ops"), Channel(name="ops", service="console"))
    await put(it, "a")
    it.notifier.fails["desk"] = DeliveryError("550 no such user", channel="desk", transient=False)
    assert (await it.tick()).dead == 1
    await it.tick()
    name, alert, _ = it.notifier.said[-1]
    assert (name, alert.kind) == ("ops", AlertKind.DEAD_LETTER)
    assert alert.notice is not None
    assert "550 no such user" in alert.notice.body


async def test_a_dead_letter_never_makes_another() -> None:
    """Where the fallback channel refuses too, the report dies quietly in the outbox, not in a circle."""
    it = desk(Channel(name="desk", service="console"), Channel(name="ops", service="console"), default_channels=["ops"])
    await put(it, "a")
    for channel in ("desk", "ops"):
        it.notifier.fails[channel] = DeliveryError("no", channel=channel, transient=False)
    for _ in range(5):
        await it.tick()
    kinds = [(row.kind, row.state) for row in it.store.tables.deliveries.values()]
    assert kinds == [(AlertKind.HIT, DeliveryState.DEAD), (AlertKind.DEAD_LETTER, DeliveryState.DEAD)]


async def test_no_answer_is_marked_as_possible_repeat() -> None:
    """After an attempt without an answer the second one carries the mark."""
    it = desk(Channel(name="desk", service="console"))
    await put(it, "a")
    it.notifier.fails["desk"] = DeliveryError("no answer", channel="desk", unknown=True)
    assert await it.tick() == DeliveryCounts(retry=1)
    it.notifier.fails.clear()
    await it.tick(NOW + timedelta(minutes=1))
    assert it.notifier.said[0][1].repeat


async def test_a_crash_between_send_and_settle_repeats_once_and_says_so() -> None:
    """A row whose sender died is taken when its lease ends, and what is sent again is marked."""
    it = desk(Channel(name="desk", service="console"))
    await put(it, "a")
    await it.store.outbox.claim(NOW, owner="dead", lease_s=60, limit=1)
    await it.store.outbox.begin("a", owner="dead", attempt=1)
    assert await it.tick(NOW + timedelta(seconds=59)) == DeliveryCounts()
    assert await it.tick(NOW + timedelta(seconds=60)) == DeliveryCounts(sent=1)
    assert it.notifier.said[0][1].repeat


async def test_a_crash_before_the_sending_is_not_called_a_repeat() -> None:
    """What was claimed and never begun was not said: it is sent without a mark."""
    it = desk(Channel(name="desk", service="console"))
    await put(it, "a")
    await it.store.outbox.claim(NOW, owner="dead", lease_s=60, limit=1)
    assert await it.tick(NOW + timedelta(seconds=60)) == DeliveryCounts(sent=1)
    assert not it.notifier.said[0][1].repeat


async def test_each_recipient_is_spoken_to_in_turn() -> None:
    """One message at a time to one recipient, so that a crash repeats one; others do not wait for him."""
    it = desk(Channel(name="desk", service="console"))
    it.notifier.waits["desk"] = asyncio.Event()
    await put(it, "a1", "a2", recipient="ann@example.org")
    await put(it, "b1", "b2", recipient="bob@example.org")
    await it.tick(wait_s=0.01)
    begun = [number for number in it.store.tables.attempts.values() if number.outcome == "unknown"]
    assert sorted(attempt.delivery for attempt in begun) == ["a1", "b1"]
    it.notifier.waits["desk"].set()
    assert await it.tick() == DeliveryCounts(sent=4)


async def test_who_lost_the_lease_does_not_send() -> None:
    """A process that slept through its lease finds its row taken over, and is silent."""
    it = desk(Channel(name="desk", service="console"))
    await put(it, "a")
    (claimed,) = await it.store.outbox.claim(NOW, owner="me", lease_s=60, limit=1)
    await it.store.outbox.claim(NOW + timedelta(minutes=2), owner="other", lease_s=60, limit=1)
    await it.verb._batch(Channel(name="desk", service="console"), Circuit(20.0)).run(
        [structs.replace(claimed, lease_until=None)]
    )
    assert it.notifier.said == []
    assert it.row("a").lease_owner == "other"


async def test_a_bug_in_one_message_does_not_stop_the_others() -> None:
    """An unexpected error keeps its row for later; the rest is sent."""
    it = desk(Channel(name="desk", service="console"), Channel(name="ops", service="console"))
    await put(it, "a")
    await put(it, "b", channel="ops")
    it.notifier.fails["desk"] = RuntimeError("secret-token")
    counts = await it.tick()
    assert (counts.sent, counts.retry) == (1, 1)
    assert it.row("a").last_error == "internal error: RuntimeError"


async def test_a_slow_channel_delays_no_other() -> None:
    """While one channel hangs, others go on, tick after tick, and the slow one is counted in the end."""
    it = desk(Channel(name="slow", service="console"), Channel(name="desk", service="console"))
    it.notifier.waits["slow"] = asyncio.Event()
    await put(it, "s", channel="slow")
    await put(it, "a")
    assert await it.tick(wait_s=0.3) == DeliveryCounts(sent=1)
    await put(it, "b")
    assert await it.tick(wait_s=0.3) == DeliveryCounts(sent=1)
    it.notifier.waits["slow"].set()
    assert await it.tick() == DeliveryCounts(sent=1)


async def test_stop_leaves_an_unfinished_send_to_its_lease() -> None:
    """What was on its way when the service stopped is not released as unsent: it may have arrived."""
    it = desk(Channel(name="desk", service="console"))
    it.notifier.waits["desk"] = asyncio.Event()
    await put(it, "a")
    await it.tick(wait_s=0.01)
    await it.verb.stop(within_s=0.01)
    assert it.state("a") is DeliveryState.SENDING
    assert await it.tick() == DeliveryCounts()


async def test_quiet_hours_hold_and_then_send_one_digest() -> None:
    """Alerts of the night wait for the morning and come as one digest; high priority passes."""
    it = desk(Channel(name="desk", service="console", quiet_hours="22:00-07:00", time_zone="Europe/Oslo"))
    await put(it, "a", "b", "c")
    await put(it, "urgent", priority="high")
    night = datetime(2026, 3, 2, 22, 30, tzinfo=UTC)
    assert await it.tick(night) == DeliveryCounts(sent=1, held=3)
    assert it.notifier.titles() == ["urgent"]
    assert (it.row("a").reason, it.row("a").due_at) == ("quiet hours", datetime(2026, 3, 3, 6, 0, tzinfo=UTC))
    assert await it.tick(datetime(2026, 3, 3, 5, 59, tzinfo=UTC)) == DeliveryCounts()
    assert (await it.tick(datetime(2026, 3, 3, 6, 0, tzinfo=UTC))).sent == 1
    _, alert, _ = it.notifier.said[-1]
    assert (alert.kind, len(alert.hits)) == (AlertKind.DIGEST, 3)


async def test_a_digest_of_one_is_an_alert() -> None:
    """A single alert that waited is told as itself."""
    it = desk(Channel(name="desk", service="console"))
    await put(it, "a", state=DeliveryState.HELD, reason="digest")
    assert await it.tick() == DeliveryCounts(sent=1)
    assert it.notifier.said[0][1].kind is AlertKind.HIT


async def test_digests_are_folded_per_recipient() -> None:
    """Each recipient of a channel gets a digest of his own rows."""
    it = desk(Channel(name="desk", service="console"))
    await put(it, "a1", "a2", recipient="ann", state=DeliveryState.HELD, reason="digest")
    await put(it, "b1", "b2", recipient="bob", state=DeliveryState.HELD, reason="digest")
    assert (await it.tick()).sent == 2
    assert sorted((to, len(alert.hits)) for _, alert, to in it.notifier.said) == [("ann", 2), ("bob", 2)]
    assert it.row("a1").reason.startswith("folded into")


async def test_max_per_hour_folds_the_rest_and_drops_nothing() -> None:
    """Beyond the limit alerts wait and come as one digest that counts them; every hit is told once."""
    it = desk(Channel(name="desk", service="console", max_per_hour=3))
    names = [f"n{i:02}" for i in range(45)]
    await put(it, *names)
    counts = await it.tick()
    assert (counts.sent, counts.held) == (3, 42)
    for minute in range(1, 130):
        await it.tick(NOW + timedelta(minutes=minute))
    assert it.notifier.titles()[3:] == ["42 more"]
    said = [t.hit.id for _, alert, _ in it.notifier.said for t in alert.hits]
    assert sorted(said) == [f"hit-{name}" for name in names]


async def test_a_silence_that_is_younger_than_the_alert_is_heard() -> None:
    """Silences are asked again before sending; the row says why it was not sent."""
    it = desk(Channel(name="desk", service="console"))
    await put(it, "a")
    await it.store.catalog.add_silence(
        Silence(rule="s400", until_at=NOW + timedelta(hours=4), reason="exercise", created_at=NOW)
    )
    assert await it.tick() == DeliveryCounts(suppressed=1)
    assert (it.state("a"), it.row("a").reason) == (DeliveryState.SUPPRESSED, "silenced: exercise")


async def test_a_silenced_hit_leaves_a_digest_that_goes_on() -> None:
    """Only the silenced hits are missing from a digest that has others."""
    it = desk(Channel(name="desk", service="console"))
    hits = (told(it, "a"), told(it, "b", rule="caatsa"))
    await it.store.outbox.add(
        [
            Delivery(
                id="d", kind=AlertKind.DIGEST, channel="desk", hits=hits, title="2 alerts", created_at=NOW, due_at=NOW
            )
        ]
    )
    await it.store.catalog.add_silence(Silence(rule="s400", until_at=NOW + timedelta(hours=4), created_at=NOW))
    assert await it.tick() == DeliveryCounts(sent=1)
    assert [t.hit.rule for t in it.notifier.said[0][1].hits] == ["caatsa"]


def folded(backend: Desk, name: str, feed: str, **changes: Any) -> None:
    """A stored hit that alerted nobody, since an alert of its story waits."""
    hit = backend.store.tables.hits[told(backend, name)]
    backend.store.tables.hits[hit.id] = structs.replace(hit, feed=feed, story="s1", state=HitState.FOLDED, **changes)


@pytest.mark.parametrize(
    ("silence", "sent"),
    [
        ({"feed": "tass"}, ["Title b"]),
        ({"rule": "s400"}, []),
        ({"story": "s1"}, []),
        ({"feed": "tass", "story": "s1"}, []),
    ],
)
async def test_what_a_silenced_alert_stood_for_alerts_instead(silence: dict[str, str], sent: list[str]) -> None:
    """Of a feed that is silenced, the story is alerted by another feed's report; of a story that is, by none."""
    it = desk(Channel(name="desk", service="console"), recipients=lambda _: ("ann", "bob"))
    await put(it, "a", story="s1", priority="low")
    it.store.tables.hits["hit-a"] = structs.replace(it.store.tables.hits["hit-a"], story="s1")
    folded(it, "b", "blog", created_at=NOW + timedelta(minutes=1))
    folded(it, "c", "tass", created_at=NOW)
    folded(it, "d", "site", created_at=NOW + timedelta(minutes=2))
    await it.store.catalog.add_silence(Silence(**silence, id=None, until_at=NOW + timedelta(hours=4), created_at=NOW))
    it.clock.move(3600)
    for _ in range(3):
        await it.tick()
    assert it.notifier.titles() == [title for title in sent for _ in ("ann", "bob")]
    states = {name: it.store.tables.hits[f"hit-{name}"].state for name in "bd"}
    assert states == {"b": HitState.ALERTED if sent else HitState.FOLDED, "d": HitState.FOLDED}


async def test_a_digest_leaves_word_of_the_stories_that_were_silenced_in_it() -> None:
    """The next copy of such a story alerts, unless another hit of the digest reported it, or the story is silenced."""
    it = desk(Channel(name="desk", service="console"))
    stories = {"a": "s1", "b": "s2", "c": "s2", "d": "s3", "e": "s4"}
    for name, story in stories.items():
        hit = it.store.tables.hits[told(it, name, rule="caatsa" if name in "ce" else "s400")]
        it.store.tables.hits[hit.id] = structs.replace(hit, story=story)
        it.store.tables.stories[story] = Story(
            id=story, title=story, fingerprint=Fingerprint(), first_at=NOW, last_at=NOW
        )
    hits = tuple(f"hit-{name}" for name in stories)
    digest = Delivery(id="d", kind=AlertKind.DIGEST, channel="desk", hits=hits, created_at=NOW, due_at=NOW)
    await it.store.outbox.add([digest])
    for named in ({"rule": "s400"}, {"story": "s3"}):
        silence = Silence(**named, id=None, until_at=NOW + timedelta(hours=4), created_at=NOW)
        await it.store.catalog.add_silence(silence)
    assert await it.tick() == DeliveryCounts(sent=1)
    assert {one.story for one in it.store.tables.undelivered} == {"s1"}


async def test_rows_of_a_channel_that_left_the_configuration_die_visibly() -> None:
    """Nothing waits for ever: after ten minutes a removed channel's alerts are given up and reported."""
    it = desk(Channel(name="ops", service="console"), default_channels=["ops"])
    await put(it, "a", channel="gone")
    await put(it, "young", channel="gone", due_at=NOW + timedelta(minutes=5))
    for minute in range(10):
        assert await it.tick(NOW + timedelta(minutes=minute)) == DeliveryCounts()
    assert (it.state("a"), it.row("a").attempts) == (DeliveryState.PENDING, 0)
    assert (await it.tick(NOW + timedelta(minutes=10))).dead == 1
    assert (it.state("young"), it.row("young").attempts) == (DeliveryState.PENDING, 0)
    assert it.row("a").last_error == "channel gone is no longer configured"
    await it.tick()
    assert it.notifier.said[-1][1].kind is AlertKind.DEAD_LETTER


async def test_a_notice_needs_no_hit() -> None:
    """Health, heartbeat and test messages carry their own words."""
    it = desk(Channel(name="desk", service="console"))
    await put(it, "n", kind=AlertKind.TEST, hits=(), notice=Notice(title="Test", body="It works."))
    assert await it.tick() == DeliveryCounts(sent=1)
    assert it.notifier.said[0][1].notice == Notice(title="Test", body="It works.")


async def test_an_alert_whose_entries_are_gone_is_still_sent() -> None:
    """Where retention was faster than the channel, the title is said: better than silence."""
    it = desk(Channel(name="desk", service="console"))
    await put(it, "a")
    it.store.tables.entries.clear()
    assert await it.tick() == DeliveryCounts(sent=1)
    assert it.notifier.said[0][1].notice == Notice(title="a")


async def test_two_services_on_one_outbox_say_nothing_twice() -> None:
    """Two processes share the rows between them."""
    it = desk(Channel(name="desk", service="console"))
    names = [f"n{i}" for i in range(30)]
    await put(it, *names)
    config = Config(channels={"desk": Channel(name="desk", service="console")})
    other = Deliver(
        Context(config=lambda: activate(config), clock=it.clock, owner="other"), it.store.outbox, it.notifier
    )
    await asyncio.gather(it.tick(), other.tick(NOW))
    assert sorted(it.notifier.titles()) == sorted(names)


async def test_an_update_answers_the_first_message_of_its_story() -> None:
    """Of the same recipient and channel; who got none hears of it all the same."""
    it = desk(Channel(name="desk", service="console"), Channel(name="ops", service="console"))
    await put(it, "other", story="s2")
    await put(it, "first", "again", story="s1")
    await it.tick()
    assert it.row("first").message_id.startswith("message ")
    await put(it, "update", story="s1", update=True)
    await put(it, "elsewhere", story="s1", update=True, channel="ops")
    await put(it, "later", story="s1")
    it.clock.move(60)
    await it.tick()
    answered = {alert.id: alert.reply_to for _, alert, _ in it.notifier.said}
    first = min(("first", "again"), key=lambda name: (it.row(name).sent_at or NOW, name))
    assert answered == {
        "other": "", "first": "", "again": "", "update": it.row(first).message_id, "elsewhere": "", "later": "",
    }  # fmt: skip


async def test_urgent_first() -> None:
    """What is urgent goes out before what is not."""
    it = desk(Channel(name="desk", service="console", max_per_hour=1))
    for priority in ("low", "normal", "high"):
        await put(it, priority, priority=priority)
    await it.tick()
    assert it.notifier.titles() == ["high"]


@pytest.mark.parametrize("rows", [1, 120])
async def test_many_rows_are_sent_in_batches(rows: int) -> None:
    """More rows than one batch sends all go out in one tick, once each."""
    it = desk(Channel(name="desk", service="console"))
    await put(it, *[f"n{i}" for i in range(rows)])
    assert await it.tick() == DeliveryCounts(sent=rows)
    assert len(set(it.notifier.titles())) == rows


@pytest.mark.parametrize("seconds", [1, 34])
async def test_a_queue_longer_than_a_lease_is_sent_to_its_end(seconds: int) -> None:
    """However long a turn takes, each alert is sent once, and nothing is claimed twice."""
    it = desk(Channel(name="desk", service="console"))
    names = [f"n{i:03}" for i in range(300)]
    await put(it, *names)

    def pass_time(_: str) -> None:
        it.clock.at += timedelta(seconds=seconds)

    it.notifier.before = pass_time
    assert await it.tick() == DeliveryCounts(sent=300)
    assert sorted(it.notifier.titles()) == names
    assert {it.row(name).attempts for name in names} == {1}


async def test_a_turn_holds_no_more_than_fits_into_a_lease() -> None:
    """A process that dies in the midst of a long queue holds back a few rows, not the queue."""
    it = desk(Channel(name="desk", service="console"))
    it.notifier.waits["desk"] = asyncio.Event()
    await put(it, *[f"n{i:03}" for i in range(100)])
    await it.tick(wait_s=0.01)
    sending = [row for row in it.store.tables.deliveries.values() if row.state is DeliveryState.SENDING]
    assert len(sending) == MAX_CLAIMED
    other = Deliver(replace(it.verb._context, owner="other"), it.store.outbox, FakeNotifier())
    assert (await other.tick(NOW)).sent == 100 - MAX_CLAIMED


async def test_leases_are_renewed_while_others_are_sent() -> None:
    """Who waits behind slow attempts is not claimed by another process, however long that takes."""
    it = desk(Channel(name="desk", service="console"))
    await put(it, *[f"n{i}" for i in range(MAX_CLAIMED)])
    other = Deliver(replace(it.verb._context, owner="other"), it.store.outbox, FakeNotifier())

    def pass_time(_: str) -> None:
        it.clock.at += timedelta(seconds=34)
        for row in it.store.tables.deliveries.values():
            assert row.lease_until is None or row.lease_until > it.clock.at

    it.notifier.before = pass_time
    assert await it.tick() == DeliveryCounts(sent=MAX_CLAIMED)
    assert await other.tick(it.clock.at) == DeliveryCounts()


async def test_a_hanging_channel_does_not_change_the_rhythm_of_a_healthy_one() -> None:
    """Tick after tick, what is due on the healthy channel is sent, while the queue of a dead one grows."""
    it = desk(Channel(name="dead", service="console"), Channel(name="desk", service="console"))
    it.notifier.waits["dead"] = asyncio.Event()
    await put(it, *[f"d{i:03}" for i in range(300)], channel="dead")
    for minute in range(20):
        await put(it, f"h{minute}")
        assert await it.tick(NOW + timedelta(minutes=minute), wait_s=0.05) == DeliveryCounts(sent=1)
    it.notifier.waits["dead"].set()
    await it.tick()
    assert {it.state(f"d{i:03}") for i in range(300)} == {DeliveryState.SENT}


async def test_idle_channels_claim_nothing_while_another_is_busy() -> None:
    """A claim is a write: only channels on which something is due make one."""
    it = desk(*[Channel(name=name, service="console") for name in ("busy", "idle", "desk")])
    it.notifier.waits["busy"] = asyncio.Event()
    await put(it, *[f"b{i}" for i in range(50)], channel="busy")
    claimed: list[Sequence[str] | None] = []
    claim = it.store.outbox.claim

    async def counting(*args: Any, **options: Any) -> tuple[Delivery, ...]:
        claimed.append(options["channels"])
        return await claim(*args, **options)

    it.store.outbox.claim = counting  # type: ignore[method-assign]
    for _ in range(5):
        await it.tick(wait_s=0.01)
    assert claimed == [["busy"]]


async def test_a_turn_that_moves_nothing_ends() -> None:
    """Where every claimed row goes back unsent, the next try is the next tick's, not at once and for ever."""
    it = desk(Channel(name="desk", service="console"))
    await put(it, "a", "b")

    async def lost(*_: Any, **__: Any) -> frozenset[str]:
        raise StoreError("the database is gone")

    it.store.outbox.silences = lost  # type: ignore[assignment]
    with pytest.raises(StoreError, match="the database is gone"):
        await asyncio.wait_for(it.tick(), 5)
    assert [it.state(name) for name in ("a", "b")] == [DeliveryState.PENDING] * 2


async def test_a_turn_that_fails_is_logged_and_frees_its_alerts(caplog: pytest.LogCaptureFixture) -> None:
    """The database fails under one channel: its alerts go back at once, the others' outcomes are counted."""
    it = desk(Channel(name="desk", service="console"), Channel(name="ops", service="console"))
    await put(it, "a")
    await put(it, "b", channel="ops")
    begin = it.store.outbox.begin

    async def failing(delivery: str, **given: Any) -> None:
        if delivery == "a":
            raise StoreError("disk I/O error")
        await begin(delivery, **given)

    it.store.outbox.begin = failing  # type: ignore[method-assign]
    with pytest.raises(StoreError, match="disk I/O error"):
        await it.tick()
    assert "channel desk" in caplog.text
    assert it.state("a") is DeliveryState.PENDING
    it.store.outbox.begin = begin  # type: ignore[method-assign]
    assert await it.tick() == DeliveryCounts(sent=2)


async def test_rows_of_a_removed_channel_do_not_wait_for_a_busy_one() -> None:
    """While another channel hangs, what nobody can send is given up visibly all the same."""
    it = desk(Channel(name="slow", service="console"))
    it.notifier.waits["slow"] = asyncio.Event()
    await put(it, "s", channel="slow")
    await put(it, "a", channel="gone", due_at=NOW - timedelta(days=1))
    assert (await it.tick(wait_s=0.01)).dead == 1
    assert it.state("s") is DeliveryState.SENDING


async def test_a_channel_that_comes_back_in_time_gets_its_alerts() -> None:
    """Whoever has had this configuration for a moment only buries nothing that is younger than a day."""
    it = desk(Channel(name="ops", service="console"))
    channels = it.verb._context.active.config.channels
    await put(it, "a", channel="desk", due_at=NOW - timedelta(hours=23))
    assert await it.tick() == DeliveryCounts()
    assert await it.tick(NOW + timedelta(minutes=9)) == DeliveryCounts()
    edited = Config(channels={**channels, "desk": Channel(name="desk", service="console")})
    it.verb._context = replace(it.verb._context, config=lambda: activate(edited))
    assert await it.tick(NOW + timedelta(minutes=11)) == DeliveryCounts(sent=1)


async def test_a_reload_begins_the_wait_anew() -> None:
    """Ten minutes are counted at the configuration that holds."""
    it = desk(Channel(name="ops", service="console"))
    await put(it, "a", channel="gone")
    await it.tick()
    edited = it.verb._context.active.config.model_copy()
    it.verb._context = replace(it.verb._context, config=lambda: activate(edited))
    await it.tick(NOW + timedelta(minutes=9))
    assert await it.tick(NOW + timedelta(minutes=18)) == DeliveryCounts()
    assert (await it.tick(NOW + timedelta(minutes=19))).dead == 1


def hanging(it: Desk, name: str, seconds: float, error: DeliveryError | None = None) -> None:
    """Each attempt on this channel takes so long and fails."""
    it.notifier.before = lambda channel: it.clock.move(seconds) if channel == name else None
    it.notifier.fails[name] = error or DeliveryError("no answer", channel=name, unknown=True)


async def test_a_dead_channel_costs_one_pass_a_few_deadlines() -> None:
    """Three attempts that each took their time are enough: the rest is put off unsent, and nothing is lost."""
    it = desk(Channel(name="desk", service="console", timeout="20s"))
    await put(it, *(f"a{n:03d}" for n in range(300)))
    hanging(it, "desk", 35.0)
    counts = await it.tick()
    assert it.clock.at == NOW + timedelta(seconds=3 * 35)
    assert (counts.sent, counts.dead) == (0, 0)
    rows = list(it.store.tables.deliveries.values())
    assert sorted(row.attempts for row in rows) == [0] * 297 + [1] * 3
    assert {row.state for row in rows} == {DeliveryState.PENDING, DeliveryState.RETRY}
    assert all(row.due_at > it.clock.at for row in rows if row.attempts == 0)
    it.notifier.fails.clear()
    it.notifier.before = lambda _: None
    assert (await it.tick(it.clock.at + timedelta(minutes=2))).sent == 300


async def test_failures_at_once_cost_nothing_and_put_nothing_off() -> None:
    """A refused connection and an HTTP 500 are each alert's own failure."""
    it = desk(Channel(name="desk", service="console"))
    await put(it, *(f"a{n:03d}" for n in range(30)))
    it.notifier.fails["desk"] = DeliveryError("connection refused", channel="desk")
    assert (await it.tick()).retry == 30
    assert {row.attempts for row in it.store.tables.deliveries.values()} == {1}


async def test_the_circuit_is_the_recipient_s() -> None:
    """Who answers gets all of his, whoever else does not."""
    it = desk(Channel(name="desk", service="console"))
    await put(it, *(f"a{n}" for n in range(9)), recipient="ann")
    circuit = Circuit(20.0)
    for _ in range(3):
        circuit.note("bob", timedelta(seconds=20), failed=True)
    assert circuit.is_open("bob")
    assert not circuit.is_open("ann")
    circuit.note("bob", timedelta(seconds=20), failed=False)
    assert not circuit.is_open("bob")
    assert (await it.tick()).sent == 9


async def test_a_stop_begins_nothing_more() -> None:
    """What is on the wire ends; what waits behind it goes back unsent, at once."""
    it = desk(Channel(name="desk", service="console"))
    await put(it, "a", "b", "c")
    it.notifier.waits["desk"] = asyncio.Event()
    await it.tick(wait_s=0.01)
    stopping = asyncio.create_task(it.verb.stop())
    await asyncio.sleep(0)
    it.notifier.waits["desk"].set()
    assert (await stopping).sent == 1
    assert sorted((row.state, row.attempts) for row in it.store.tables.deliveries.values()) == [
        (DeliveryState.PENDING, 0),
        (DeliveryState.PENDING, 0),
        (DeliveryState.SENT, 1),
    ]


async def test_an_alert_at_which_three_processes_died_is_given_up_and_reported() -> None:
    """Each start takes it up again, marked; after the third death another channel tells of it."""
    it = desk(Channel(name="desk", service="console", fallback="ops"), Channel(name="ops", service="console"))
    await put(it, "bomb")
    for death in range(3):
        owner, at = f"dead{death}", NOW + death * timedelta(minutes=10)
        claim = partial(it.store.outbox.claim, owner=owner, lease_s=60, limit=1)
        (claimed,) = await claim(at) or await claim(at + timedelta(minutes=1))  # after two deaths it rests first
        await it.store.outbox.begin("bomb", owner=owner, attempt=claimed.attempts)
    await put(it, "harmless")
    assert await it.tick(NOW + timedelta(hours=1)) == DeliveryCounts(sent=1, dead=1)
    assert it.notifier.titles() == ["harmless"]
    assert it.row("bomb").reason == "deadly"
    await it.tick()
    assert [(name, alert.kind) for name, alert, _ in it.notifier.said[1:]] == [("ops", AlertKind.DEAD_LETTER)]


async def test_a_row_for_a_whole_channel_becomes_one_for_each_recipient() -> None:
    """Who accepted it does not get it again because a colleague's server refused."""
    backend = desk(Channel(name="desk"), recipients=lambda _: ("ann", "bob"))
    await put(backend, "d1")
    backend.notifier.fails["desk/bob"] = DeliveryError("450 later", channel="desk")
    await backend.tick()
    for hours in (1, 2, 3):
        await backend.tick(NOW + timedelta(hours=hours))
    assert backend.state("d1") is DeliveryState.SUPPRESSED
    told = [recipient for _, _, recipient in backend.notifier.said]
    assert told.count("ann") == 1
    assert {row.recipient: row.state for row in backend.store.tables.deliveries.values() if row.recipient} == {
        "ann": DeliveryState.SENT,
        "bob": DeliveryState.RETRY,
    }


async def test_who_is_put_off_has_a_row_of_their_own() -> None:
    """One message to several: those who have it do not get it again, and the other is tried again alone."""
    it = desk(Channel(name="desk", service="console"))
    await put(it, "a")
    it.notifier.put_off = (("bob@example.org", "450 greylisted"),)
    await it.tick()
    it.notifier.put_off = ()
    assert it.state("a") is DeliveryState.SENT
    (other,) = (row for row in it.store.tables.deliveries.values() if row.id != "a")
    assert (other.recipient, other.state, other.last_error) == (
        "bob@example.org",
        DeliveryState.RETRY,
        "450 greylisted",
    )
    assert (other.hits, other.title, other.attempts) == (it.row("a").hits, "a", 1)
    await it.tick(other.due_at)
    assert it.state(other.id) is DeliveryState.SENT
    assert [recipient for _, _, recipient in it.notifier.said] == ["", "bob@example.org"]
