"""One batch of claimed deliveries of one channel, on its way out.

    give up → address → mute → quiet hours → fold → max_per_hour → send → settle

Each step takes rows and passes on those that it did not settle. While some are sent, the leases of
those that wait are renewed. What was neither settled nor sent when the batch ends (the service
stops, the database fails) goes back unsent.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from aggregator.core.delivery import (
    FIRST_RETRY_S,
    AttemptResult,
    HoldReason,
    action_token,
    compose,
    dead_letter_notice,
    deadly,
    due_at,
    fold,
    foldable,
    hold,
    instead,
    put_off,
    quiet_until,
    settled,
    split,
    suppress,
    urgency,
)
from aggregator.core.errors import Conflict, DeliveryError, StoreError
from aggregator.core.model import Alert, AlertKind, Delivery, DeliveryState, HitDetail, Silence
from aggregator.core.routing import silenced
from aggregator.core.titles import reason_of_alert, with_titles
from aggregator.pipeline.context import ActiveConfig
from aggregator.pipeline.delivery_counts import DeliveryCounts
from aggregator.ports import Clock, Notifier, Outbox

if TYPE_CHECKING:
    from aggregator.core.settings import Channel

log = logging.getLogger(__name__)

FAILURES_IN_A_ROW = 3  # to a recipient, with a deadline's time lost: the rest of his queue is put off
CONCURRENCY = 4  # recipients of a channel that are spoken to at the same time
SPARE_S = 15.0  # how much longer than the channel's own deadline we wait for its notifier
RATE_RHYTHM = "15m"  # how often what max_per_hour holds back is looked at again


@dataclass(slots=True)
class Circuit:
    """A circuit breaker for each recipient of a channel, for one turn.

    It opens if attempts fail one after the other and cost time: otherwise each delivery behind them would wait for
    the same answer, for a whole deadline. Failures that come at once cost nothing, so each delivery has its own.
    """

    deadline_s: float
    failures: dict[str, int] = field(default_factory=dict)
    lost_s: dict[str, float] = field(default_factory=dict)
    logged: set[str] = field(default_factory=set)

    def is_open(self, recipient: str) -> bool:
        lost_s = self.lost_s.get(recipient, 0.0)
        return self.failures.get(recipient, 0) >= FAILURES_IN_A_ROW and lost_s >= self.deadline_s

    def note(self, recipient: str, took: timedelta, *, failed: bool) -> None:
        """Record the end of an attempt."""
        self.failures[recipient] = self.failures.get(recipient, 0) + 1 if failed else 0
        self.lost_s[recipient] = self.lost_s.get(recipient, 0.0) + took.total_seconds() if failed else 0.0


@dataclass(slots=True, kw_only=True)
class DeliveryBatch:
    """Rows that were claimed together; `run` brings every one of them to its end."""

    channel: "Channel"
    active: ActiveConfig
    outbox: Outbox
    notifier: Notifier
    clock: Clock
    owner: str
    lease_s: float
    circuit: Circuit
    link_key: bytes = field(default=b"", repr=False)
    stopping: Callable[[], bool] = lambda: False  # nothing more is begun; what is on the wire may end
    counts: DeliveryCounts = field(default_factory=DeliveryCounts)
    more: bool = False  # something was folded or given back, and is due again
    progress: bool = False  # at least one row was sent, settled or folded
    _open: dict[str, Delivery] = field(default_factory=dict)
    _lease_until: datetime | None = None
    _renewing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self, claimed: Sequence[Delivery]) -> DeliveryCounts:
        """Process the rows. Raises StoreError."""
        self._open = {delivery.id: delivery for delivery in claimed}
        self._lease_until = min((row.lease_until for row in claimed if row.lease_until), default=None)
        try:
            addressed = await self._address(await self._give_up_deadly(claimed))
            wanted = await self._mute(addressed)
            awake = await self._keep_quiet(wanted)
            single = await self._fold(awake)
            allowed = await self._keep_rate(single)
            await self._send_all(sorted(allowed, key=urgency))
        finally:
            self.progress = len(self._open) < len(claimed)
            if self._open:
                self.more = True
                await self.outbox.release(tuple(self._open), owner=self.owner)
        return self.counts

    async def give_up(self, claimed: Sequence[Delivery], reason: str) -> DeliveryCounts:
        """Give up what can never be sent, visibly."""
        self._open = {delivery.id: delivery for delivery in claimed}
        for delivery in claimed:
            lost = AttemptResult(detail=reason, transient=False)
            await self._settle(delivery, settled(delivery, lost, self.clock.now()))
        return self.counts

    async def _give_up_deadly(self, rows: Sequence[Delivery]) -> list[Delivery]:
        """Give up, visibly, what processes died of again and again."""
        harmless = []
        for row in rows:
            if ended := deadly(row, self.clock.now()):
                await self._settle(row, ended)
            else:
                harmless.append(row)
        return harmless

    async def _address(self, rows: Sequence[Delivery]) -> list[Delivery]:
        """Give each recipient a row of their own, where a row was made for the channel as a whole.

        Sent as one, a row of which a part was refused would be sent again to those who have it.
        """
        addressed = []
        for row in rows:
            names = () if row.recipient else self.active.recipients.of(self.channel.name)
            if any(names):
                words = f"one for each of: {', '.join(names)}"
                await self._settle(row, suppress(row, words), also=split(row, names))
                self.more = True
            else:
                addressed.append(row)
        return addressed

    async def _mute(self, rows: Sequence[Delivery]) -> list[Delivery]:
        """Check the silences again: they may be younger than the alert.

        Unless it is the story that was silenced, another report of it alerts: one that came meanwhile, or the next.
        """
        now = self.clock.now()
        silences = await self.outbox.silences(now)
        wanted = []
        for row in rows:
            detail = await self.outbox.hit_details(row) if silences and row.hits else ()
            quiet = [s for t in detail for s in _silences(t, silences, now)[:1]]
            if detail and len(quiet) == len(detail):
                reason = next((s.reason for s in quiet if s.reason), "")
                lost = _lost(detail, silences, now)
                waited = await self.outbox.stood_for(row) if lost else ()
                other = instead(row, [t for t in waited if not _silences(t, silences, now)], now)
                self.more = self.more or bool(other)
                words = f"silenced: {reason}" if reason else "silenced"
                await self._settle(row, suppress(row, words), also=other, lost=lost)
            else:
                wanted.append(row)
        return wanted

    async def _keep_quiet(self, rows: Sequence[Delivery]) -> list[Delivery]:
        now = self.clock.now()
        ends = quiet_until(self.channel.quiet_hours, now, self.channel.time_zone)
        if ends is None:
            return list(rows)
        passing = [row for row in rows if row.priority == "high" or row.kind is AlertKind.TEST]
        for row in rows:
            if row not in passing:
                await self._settle(row, hold(row, ends, HoldReason.QUIET))
        return passing

    async def _fold(self, rows: Sequence[Delivery]) -> list[Delivery]:
        """Make one digest of what waited for the same recipient; it is claimed in the next batch."""
        waited: dict[str, list[Delivery]] = defaultdict(list)
        for row in rows:
            if foldable(row):
                waited[row.recipient].append(row)
        folded: set[str] = set()
        for members in waited.values():
            if len(members) > 1:
                await self.outbox.fold(members, fold(members, self.clock.now()), owner=self.owner)
                folded.update(member.id for member in members)
        for name in folded:
            self.more = True
            del self._open[name]
        return [row for row in rows if row.id not in folded]

    async def _keep_rate(self, rows: Sequence[Delivery]) -> list[Delivery]:
        if self.channel.max_per_hour is None:
            return list(rows)
        now = self.clock.now()
        sent = await self.outbox.sent_since(self.channel.name, now - timedelta(hours=1))
        fixture = max(0, self.channel.max_per_hour - sent)
        ordered = sorted(rows, key=urgency)
        for row in ordered[fixture:]:
            await self._settle(row, hold(row, due_at(RATE_RHYTHM, now), HoldReason.RATE))
        return ordered[:fixture]

    async def _send_all(self, rows: Sequence[Delivery]) -> None:
        """Send to each recipient one after the other: a crash can then repeat one message to them, not several."""
        places = asyncio.Semaphore(CONCURRENCY)
        queues: dict[str, list[Delivery]] = defaultdict(list)
        for row in rows:
            queues[row.recipient].append(row)

        async def empty(queue: Sequence[Delivery]) -> None:
            for row in queue:
                async with places:
                    if self.stopping():
                        return
                    if self.circuit.is_open(row.recipient):
                        await self._put_off([each for each in queue if each.id in self._open])
                        return
                    await self._renew()
                    if row.id in self._open:
                        await self._send_one(row)

        # Where one fails, the others' attempts end first: what is cancelled on the wire stays in doubt.
        ended = await asyncio.gather(*map(empty, queues.values()), return_exceptions=True)
        for error in ended:
            if isinstance(error, BaseException):
                raise error

    async def _put_off(self, rows: Sequence[Delivery]) -> None:
        """Postpone what would only wait for a recipient who does not answer."""
        if not rows:
            return
        until = self.clock.now() + timedelta(seconds=FIRST_RETRY_S)
        await self.outbox.put_off([row.id for row in rows], until, owner=self.owner)
        for row in rows:
            del self._open[row.id]
        self.counts.retry += len(rows)
        if (to := rows[0].recipient) not in self.circuit.logged:
            self.circuit.logged.add(to)
            name = f"{self.channel.name} ({to})" if to else self.channel.name
            log.warning("channel %s is not responding; delaying its other deliveries by %g s", name, FIRST_RETRY_S)

    async def _renew(self) -> None:
        """Renew what waits if this attempt may outlast its lease.

        An attempt takes half a lease at most, so each row behind one still holds a lease here.
        """
        async with self._renewing:
            now = self.clock.now()
            if self._lease_until is None or self._lease_until - now > timedelta(seconds=self._deadline_s):
                return
            self._lease_until = now + timedelta(seconds=self.lease_s)
            kept = await self.outbox.renew(tuple(self._open), owner=self.owner, until=self._lease_until)
            for name in self._open.keys() - kept:
                log.warning("delivery %s was taken over by another process before sending; skipping it", name)
                del self._open[name]

    @property
    def _deadline_s(self) -> float:
        """Return when an attempt is given up, in seconds."""
        return self.channel.timeout_s + SPARE_S

    async def _send_one(self, row: Delivery) -> None:
        """Send a row; a bug that it triggers is its own failure and stops none of the others."""
        try:
            await self._send(row)
        except StoreError:
            raise
        except Exception as error:
            log.exception("cannot send delivery %s on channel %s", row.id, row.channel)
            failed = AttemptResult(detail=f"internal error: {type(error).__name__}")
            await self._settle(row, settled(row, failed, self.clock.now()))

    async def _send(self, row: Delivery) -> None:
        now = self.clock.now()
        silences = await self.outbox.silences(now)
        known = await self.outbox.hit_details(row) if row.hits else ()
        detail = [t for t in known if not _silences(t, silences, now)]
        config = self.active.config
        token = action_token(self.link_key, row.id, now) if self.link_key and detail else ""
        alert = compose(row, with_titles(detail, config), self.channel, config.settings.web.public_url, token)
        alert = replace(alert, why=reason_of_alert(alert.why, alert.hits, update=row.update))
        if row.update:
            alert = replace(alert, reply_to=await self.outbox.first_message(row))
        # From here on it may have been said: a cancelled attempt is left to its lease, not released.
        self._open.pop(row.id, None)
        try:
            await self.outbox.begin(row.id, owner=self.owner, attempt=row.attempts)
        except Conflict:
            log.warning("delivery %s was taken over by another process before sending; skipping it", row.id)
            return
        except StoreError:
            self._open[row.id] = row  # nothing was said: it goes back
            raise
        began = self.clock.now()
        outcome = await self._attempt(row, alert)
        self.circuit.note(
            row.recipient, self.clock.now() - began, failed=not outcome.sent and (outcome.transient or outcome.unknown)
        )
        ended_at = self.clock.now()
        later = put_off(row, outcome, ended_at)
        lost = _lost(known, silences, now) if outcome.sent else ()
        await self._settle(row, settled(row, outcome, ended_at), also=later, lost=lost)

    async def _attempt(self, row: Delivery, alert: Alert) -> AttemptResult:
        try:
            async with asyncio.timeout(self._deadline_s):
                receipt = await self.notifier.send(self.channel, alert, recipient=row.recipient)
        except DeliveryError as error:
            return AttemptResult(
                detail=str(error),
                transient=error.transient,
                unknown=error.unknown,
                retry_after_s=error.retry_after_s,
            )
        except TimeoutError:
            return AttemptResult(detail=f"no response in {self._deadline_s:g} s", unknown=True)
        return AttemptResult(sent=True, detail=receipt.detail, message_id=receipt.message_id, put_off=receipt.put_off)

    async def _settle(
        self, row: Delivery, settled: Delivery, also: Sequence[Delivery] = (), lost: Sequence[str] = ()
    ) -> None:
        contents = self._contents(settled) if settled.state is DeliveryState.DEAD else tuple(also)
        self._open.pop(row.id, None)
        try:
            await self.outbox.settle(
                settled, owner=self.owner, attempt=row.attempts, also=contents, at=self.clock.now(), lost=lost
            )
        except Conflict:
            log.warning("delivery %s was taken over by another process while being sent; it may arrive twice", row.id)
            return
        self._note(settled)

    def _note(self, settled: Delivery) -> None:
        state = settled.state.value
        setattr(self.counts, state, getattr(self.counts, state) + 1)
        if settled.sent_at is not None:
            self.counts.waits_s += (max(0.0, (settled.sent_at - settled.due_at).total_seconds()),)
        where = (settled.id, settled.channel, settled.last_error or settled.reason)
        if settled.state is DeliveryState.DEAD:
            log.error("delivery %s on channel %s was given up: %s", *where)
        elif settled.state is DeliveryState.RETRY:
            log.warning("delivery %s on channel %s will be retried: %s", *where)

    def _contents(self, dead: Delivery) -> tuple[Delivery, ...]:
        """Report a loss on another channel; the loss of a report is only logged."""
        fallback = None if dead.kind is AlertKind.DEAD_LETTER else self._fallback(dead.channel)
        if fallback is None:
            return ()
        now, recipients = self.clock.now(), self.active.recipients.of(fallback.name)
        return tuple(dead_letter_notice(dead, fallback.name, to, now) for to in recipients)

    def _fallback(self, name: str) -> "Channel | None":
        channels, settings = self.active.config.channels, self.active.config.settings
        request = channels[name].fallback if name in channels else None
        ops = settings.health.notify if settings.health.notify is not None else settings.default_channels
        names = [request] if request else [*ops, *settings.default_channels]
        return next((channels[other] for other in names if other != name and other in channels), None)


def _silences(detail: HitDetail, silences: Sequence[Silence], now: datetime) -> list[Silence]:
    """Return the silences that cover a hit."""
    hit = detail.hit
    return [s for s in silences if silenced(hit.rule, hit.feed, hit.story, s, now)]


def _lost(details: Sequence[HitDetail], silences: Sequence[Silence], now: datetime) -> tuple[str, ...]:
    """Return the hits that are silenced, but of whose stories people may hear in other ways.

    A silence of the story itself is meant; and so it is if another of these hits reports it.
    """
    covering = [(detail.hit, _silences(detail, silences, now)) for detail in details]
    reported = {hit.story for hit, found in covering if not found}
    return tuple(
        hit.id for hit, found in covering if found and all(s.story is None for s in found) and hit.story not in reported
    )
