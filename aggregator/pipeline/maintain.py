"""Maintenance: keep the database in order, and report news about it."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from aggregator.core.delivery import compose
from aggregator.core.delivery.notices import health_channels, notice_deliveries
from aggregator.core.errors import AggregatorError, ConfigErrors, DatabaseFault
from aggregator.core.findings import findings
from aggregator.core.model import AlertKind, Backlog, DeliveryState, HitDetail, HitFilter, HitState, Notice, Status
from aggregator.core.titles import reasons
from aggregator.pipeline.context import Context
from aggregator.ports import Catalog, Maintenance, Notifier, Outbox

log = logging.getLogger(__name__)

PAGE = 500  # hits, with their entries, that are in memory at a time
LEAST_CERTAIN = 10  # folds that a week's account names


class Maintainer:
    """Retention, the heartbeat, and news about the configuration."""

    def __init__(self, context: Context, *, catalog: Catalog, outbox: Outbox, upkeep: Maintenance) -> None:
        self._context = context
        self._catalog = catalog
        self._outbox = outbox
        self._upkeep = upkeep
        self._last_heartbeats: dict[str, datetime] = {}

    async def prune(self) -> tuple[int, int]:
        """Apply the retention; return (entries removed, texts emptied)."""
        kept = self._context.active.config.settings.retention
        removed, emptied = await self._upkeep.prune(
            self._context.now(), entries_s=kept.entries_s, content_s=kept.content_s
        )
        if removed or emptied:
            log.info("retention", extra={"removed": removed, "emptied": emptied})
        return removed, emptied

    def heartbeat_zones(self) -> tuple[str, ...]:
        """Return the time zones of the channels that receive heartbeats."""
        config = self._context.active.config
        named = health_channels(config.settings)
        return tuple(sorted({config.channels[name].time_zone for name in named if name in config.channels}))

    async def heartbeat(self, zone: str) -> None:
        """Send a time zone's channels a heartbeat with the events since the last one (a day, at first)."""
        now = self._context.now()
        since = self._last_heartbeats.get(zone, now - timedelta(days=1))
        self._last_heartbeats[zone] = now
        health = await self._catalog.health()
        rules = Counter([detail.hit.rule async for detail in self._hits(since)])
        outbox = await self._catalog.outbox()
        waiting = sum(
            outbox.get(state, 0) for state in (DeliveryState.PENDING, DeliveryState.RETRY, DeliveryState.HELD)
        )
        count, most = rules.total(), rules.most_common(5)
        lines = [
            f"Feeds: {', '.join(f'{number} {word.value}' for word, number in health.items())}",
            f"Hits since {since.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} ({zone}): {count}"
            + (f" ({', '.join(f'{r} {n}' for r, n in most)})" if most else ""),
            f"Alerts waiting: {waiting}, failed: {outbox.get(DeliveryState.DEAD, 0)}",
        ]
        lines += await self._folds(now, zone)
        title = f"aggregator is alive: {count} hits" if count else "aggregator is alive: nothing matched"
        subject = ("heartbeat", f"{now:%Y-%m-%dT%H:%M}")
        await self._tell(Notice(title=title, body="\n".join(lines)), subject, AlertKind.HEARTBEAT, zone)

    async def _folds(self, now: datetime, zone: str) -> list[str]:
        """Account for a week's folds on each Monday: their number, and the least certain of them to look at."""
        if now.astimezone(ZoneInfo(zone)).weekday() != 0:
            return []
        events: set[str | None] = set()
        least: list[tuple[float, str, str]] = []
        number = 0
        async for detail in self._hits(now - timedelta(days=7)):
            hit = detail.hit
            if hit.state is not HitState.FOLDED:
                continue
            number += 1
            events.add(hit.story)
            why = reasons(hit.because, earlier_alerts=detail.earlier_alerts)[:1]
            line = f"- {detail.entry.title} ({detail.feed_title}): {'; '.join(why)}"
            similarity = hit.because.similarity if hit.because else 0.0
            least = sorted([*least, (similarity, hit.id, line)])[:LEAST_CERTAIN]
        if not number:
            return []
        retellings = f"{number:,} {'retelling' if number == 1 else 'retellings'}"
        count = f"{retellings} of {len(events):,} {'event' if len(events) == 1 else 'events'} folded within a week"
        which = f"the {LEAST_CERTAIN} least certain" if number > LEAST_CERTAIN else "the least certain first"
        return [f"{count}; {which}:", *(line for *_, line in least)]

    async def _hits(self, since: datetime) -> AsyncIterator[HitDetail]:
        """Yield the hits since then, newest first, page by page: a week of them, with texts, may fill the memory."""
        wanted = HitFilter(since=since, by="recorded")
        while page := await self._catalog.hits(wanted, limit=PAGE):
            for detail in page:
                yield detail
            wanted = replace(wanted, before=page[-1].place("recorded"))

    async def notice_faulty_config(self, errors: ConfigErrors, digest: str) -> None:
        """Report once for each faulty version of the files that it was not applied."""
        body = "\n".join(map(str, errors.errors[:10]))
        notice = Notice(title="Invalid configuration change; the running configuration stays active", body=body)
        await self._tell(notice, ("config", digest), AlertKind.HEALTH)

    async def notice_list(self, title: str, body: str) -> None:
        """Report that a fetched list of terms changed, or cannot be had."""
        await self._tell(Notice(title=title, body=body), ("list", title, body), AlertKind.HEALTH)

    async def warn_of_database(self, fault: DatabaseFault, notifier: Notifier) -> int:
        """Report a database fault past the outbox, which cannot be written; return the channels that accepted it.

        Tried are the channels of settings.health.notify, and all others where none of those accepts.
        """
        thing, _, remedy = str(fault).partition("; ")
        body = f"{thing}. {remedy[:1].upper()}{remedy[1:]}." if remedy else thing
        notice = Notice(title="The database is unavailable: alerts are not sent", body=body)
        config = self._context.active.config
        first = [name for name in health_channels(config.settings) if name in config.channels]
        for names in (first, [name for name in config.channels if name not in first]):
            sent = await asyncio.gather(*(self._say(notice, fault.kind, name, notifier) for name in names))
            if any(sent):
                return sum(sent)
        return 0

    async def _say(self, notice: Notice, kind: str, name: str, notifier: Notifier) -> int:
        """Send to each recipient of one channel, without a row; return how many accepted it."""
        active, now, accepted = self._context.active, self._context.now(), 0
        config = active.config
        channel = config.channels[name]
        for row in notice_deliveries(
            notice,
            ("database", kind, now.isoformat()),
            [name],
            config.channels,
            now,
            kind=AlertKind.HEALTH,
            recipients=active.recipients.of,
        ):
            alert = compose(row, (), channel, config.settings.web.public_url)
            try:
                async with asyncio.timeout(channel.timeout_s):
                    await notifier.send(channel, alert, recipient=row.recipient)
                accepted += 1
            except (AggregatorError, TimeoutError) as error:
                log.error(
                    "channel %s could not be notified about the database: %s", name, error or "no response in time"
                )
        return accepted

    async def report_deaths(self) -> None:
        """Report once for each further death which feed or alert was being worked on when processes died."""
        now = self._context.now()
        for suspect in (await self._catalog.backlog(now, brief=True)).suspects:
            for finding in findings(Status(version="", now_at=now, backlog=Backlog(suspects=(suspect,)))):
                what = "Feed" if suspect.kind == "feed" else "Alert"
                words = f"{finding.what[:1].upper()}{finding.what[1:]}.\n{finding.remedy}"
                notice = Notice(title=f"{what} {suspect.name} may be crashing the service", body=words)
                subject = ("deaths", suspect.kind, suspect.name, str(suspect.deaths))
                if await self._tell(notice, subject, AlertKind.HEALTH):
                    log.warning("%s", finding.what)

    async def _tell(self, notice: Notice, subject: Sequence[str], kind: AlertKind, zone: str | None = None) -> int:
        """Put a notice into the outbox, once for its subject; return how many rows were new.

        For the channels of health.notify, or those of them that go by the clock of `zone`.
        """
        active = self._context.active
        config = active.config
        named = [name for name in health_channels(config.settings) if name in config.channels]
        return await self._outbox.add(
            notice_deliveries(
                notice,
                subject,
                [name for name in named if zone in (None, config.channels[name].time_zone)],
                config.channels,
                self._context.now(),
                kind=kind,
                recipients=active.recipients.of,
            )
        )
