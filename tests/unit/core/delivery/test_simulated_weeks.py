"""Simulated weeks: whatever arrives, whenever, nothing is lost, nothing comes early, nothing comes twice."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.core.delivery import quiet_until
from aggregator.core.errors import DeliveryError
from aggregator.core.model import Alert, AlertKind, Entry, Hit, Reason, RoutingContext
from aggregator.core.routing import describe
from aggregator.core.settings import Channel, Config, RuleConfig, Settings
from aggregator.pipeline.context import Context, activate
from aggregator.pipeline.deliver import Deliver
from tests.support.fake_notifier import FakeNotifier
from tests.support.memory_store import MemoryStore

pytestmark = pytest.mark.anyio
RHYTHMS = ("instant", "15m", "hourly", "daily 07:00", "weekdays 07:00", "daily 02:30")
STEP = timedelta(minutes=5)
LENGTH = timedelta(days=8)
# Weeks in which the clocks of Oslo go forward and back, an ordinary one, and one in Istanbul, where they stand still.
WEEKS = [
    ("Europe/Oslo", datetime(2026, 3, 26, tzinfo=UTC)),
    ("Europe/Oslo", datetime(2026, 10, 22, tzinfo=UTC)),
    ("Europe/Oslo", datetime(2026, 6, 1, tzinfo=UTC)),
    ("Europe/Istanbul", datetime(2026, 3, 26, tzinfo=UTC)),
]


@dataclass
class Clock:
    at: datetime

    def now(self) -> datetime:
        return self.at


@dataclass
class Week:
    """One desk for eight days: arrivals go in, what was said comes out with its instant."""

    zone: str
    clock: Clock
    quiet: str | None = None
    most: int | None = None
    store: MemoryStore = field(default_factory=lambda: MemoryStore(index_text=lambda entry: entry.title))
    notifier: FakeNotifier = field(default_factory=FakeNotifier)
    said_at: list[datetime] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.channel = Channel(
            name="desk", service="console", time_zone=self.zone, quiet_hours=self.quiet, max_per_hour=self.most
        )
        self.config = Config(channels={"desk": self.channel}, settings=Settings())
        self.active = activate(self.config)
        context = Context(config=lambda: self.active, clock=self.clock, owner="me")
        self.verb = Deliver(context, self.store.outbox, self.notifier)

    async def arrive(self, number: int, rhythm: str, priority: str) -> str:
        """A new entry matched a rule of this rhythm."""
        rule = RuleConfig(id=f"r{number}", any=("x",), notify=("desk",), deliver=rhythm, priority=priority)
        entry = Entry(
            id=number, feed="f", key=str(number), title=f"Number {number}", seen_at=self.clock.at, reason=Reason.NEW
        )
        hit = Hit(
            id=f"h{number}", rule=rule.id, feed="f", entry_key=entry.key, entry_id=number, created_at=self.clock.at
        )
        router = replace(self.active.router, rules={rule.id: rule})
        described = describe([entry], [hit], self.clock.at)
        routed = router.route([hit], [entry], self.clock.at, RoutingContext(), reports=described)
        self.store.tables.entries[number] = entry
        self.store.tables.hits[hit.id] = routed.hits[0]
        await self.store.outbox.add(routed.deliveries)
        return hit.id

    async def tick(self) -> None:
        before = len(self.notifier.said)
        await self.verb.tick(self.clock.at)
        self.said_at += [self.clock.at] * (len(self.notifier.said) - before)

    def told(self) -> Counter[str]:
        return Counter(t.hit.id for _, alert, _ in self.notifier.said for t in alert.hits)


arrivals = st.lists(
    st.tuples(st.integers(0, 7 * 288), st.sampled_from(RHYTHMS), st.sampled_from(["normal", "normal", "high"])),
    max_size=25,
)


@pytest.fixture
def anyio_backend() -> str:
    """The application speaks asyncio."""
    return "asyncio"


async def live(
    week: Week, coming: list[tuple[int, str, str]], outage: range = range(0)
) -> dict[str, tuple[datetime, str, str]]:
    """Let the week pass in steps of five minutes; gives what arrived: instant, rhythm, priority by hit."""
    arrived: dict[str, tuple[datetime, str, str]] = {}
    begin = week.clock.at
    due = sorted(enumerate(coming), key=lambda item: item[1][0])
    for step in range(int(LENGTH / STEP) + 3 * 288):
        week.clock.at = begin + step * STEP
        while due and due[0][1][0] <= step:
            number, (_, rhythm, priority) = due.pop(0)
            arrived[await week.arrive(number + 1, rhythm, priority)] = (week.clock.at, rhythm, priority)
        if step in outage:
            week.notifier.fails["desk"] = DeliveryError("channel desk: down", channel="desk")
        else:
            week.notifier.fails.clear()
        next_due = await week.store.outbox.next_due_at()
        if next_due is not None and next_due <= week.clock.at:
            await week.tick()
    return arrived


@pytest.mark.parametrize(("zone", "begin"), WEEKS, ids=lambda value: str(value)[:16])
@given(coming=arrivals, quiet=st.sampled_from([None, "22:00-07:00", "01:00-02:30"]), most=st.sampled_from([None, 2]))
@settings(max_examples=30, deadline=None)
async def test_nothing_lost_nothing_twice_nothing_early(
    zone: str, begin: datetime, coming: list[tuple[int, str, str]], quiet: str | None, most: int | None
) -> None:
    """Every hit is told exactly once, never before it arrived, and never in quiet hours unless it is urgent."""
    week = Week(zone, Clock(begin), quiet, most)
    arrived = await live(week, coming)
    assert week.told() == Counter(list(arrived))
    for at, (_, alert, _) in zip(week.said_at, week.notifier.said, strict=True):
        for detail in alert.hits:
            came, rhythm, priority = arrived[detail.hit.id]
            assert at >= came
            if alert.kind is AlertKind.HIT and rhythm.endswith("07:00") and most is None and priority != "high":
                local = at.astimezone(ZoneInfo(zone))
                assert (local.hour, local.minute) == (7, 0)
                assert not (rhythm.startswith("weekdays") and local.weekday() >= 5)
        if quiet_until(quiet, at, zone):
            assert alert.priority == "high"


@pytest.mark.parametrize("zone", ["Europe/Oslo", "Europe/Istanbul"])
@given(coming=arrivals, start=st.integers(0, 1500))
@settings(max_examples=25, deadline=None)
async def test_an_outage_loses_nothing(zone: str, coming: list[tuple[int, str, str]], start: int) -> None:
    """With the channel down for five hours somewhere in the week, every hit is still told exactly once."""
    week = Week(zone, Clock(datetime(2026, 3, 26, tzinfo=UTC)))
    arrived = await live(week, coming, range(start, start + 60))
    assert week.told() == Counter(list(arrived))


async def test_max_per_hour_holds_in_every_hour() -> None:
    """In no hour of a busy day are more messages sent than allowed."""
    week = Week("Europe/Oslo", Clock(datetime(2026, 6, 1, tzinfo=UTC)), most=3)
    await live(week, [(i // 2, "instant", "normal") for i in range(120)])
    assert sum(week.told().values()) == 120
    for at in week.said_at:
        assert sum(at - timedelta(hours=1) < other <= at for other in week.said_at) <= 3


async def test_urgent_alerts_of_the_night_do_not_wait() -> None:
    """High priority goes out within one step at any hour."""
    week = Week("Europe/Oslo", Clock(datetime(2026, 3, 28, 22, tzinfo=UTC)), quiet="22:00-07:00")
    arrived = await live(week, [(i * 12, "instant", "high") for i in range(10)])
    for at, (_, alert, _) in zip(week.said_at, week.notifier.said, strict=True):
        assert isinstance(alert, Alert)
        assert at == arrived[alert.hits[0].hit.id][0]
