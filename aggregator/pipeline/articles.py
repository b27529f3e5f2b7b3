"""Full text: the articles behind new entries are read after the alerts on their summaries went out.

claim wishes → page → article → the entry's next version → match → commit (and route, inside it).
A wish is a row: it outlives a restart, and is given up after three tries.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

from aggregator.core.errors import AggregatorError, FetchError, ParseError, StoreError
from aggregator.core.model import Entry, Hit, Routed, Surroundings, WantedText
from aggregator.core.polling.hosts import host_key
from aggregator.core.polling.schedule import host_limits
from aggregator.core.routing import question, route
from aggregator.core.settings import Channel, Feed
from aggregator.pipeline.active_config import CurrentSetup, Setup
from aggregator.pipeline.matching import match
from aggregator.ports import Clock, Pages, Reader, Texts

log = logging.getLogger(__name__)

AT_ONCE = 8
LEASE_S = 300.0
TRIES = 3
PAUSE = timedelta(minutes=10)  # times the number of tries so far

Outcome = Literal["read", "nothing new", "later", "given up"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What became of one wish."""

    feed: str
    outcome: Outcome
    hits: int = 0


class FullTexts:
    """Reads articles, a bounded number at a time; nothing that goes wrong here touches a poll."""

    def __init__(
        self,
        *,
        texts: Texts,
        pages: Pages,
        reader: Reader,
        setup: CurrentSetup,
        clock: Clock,
        recipients: Callable[[Channel], Sequence[str]],
        observe: Callable[[Reading], None] = lambda _: None,
    ) -> None:
        self._texts = texts
        self._pages = pages
        self._reader = reader
        self._setup = setup
        self._clock = clock
        self._recipients = recipients
        self._observe = observe
        self._under_way: set[asyncio.Task[None]] = set()

    async def tick(self) -> int:
        """Begin with the wishes that are due, as far as there is room; gives how many there were."""
        free = AT_ONCE - len(self._under_way)
        wishes = await self._texts.due(self._clock.now(), lease_s=LEASE_S, limit=free) if free > 0 else ()
        for wish in wishes:
            task = asyncio.create_task(self._work(wish), name=f"article of {wish.entry.feed}")
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return len(wishes)

    async def once(self) -> int:
        """Fulfil everything that is due, to its end; gives how many wishes there were."""
        total = 0
        while begun := await self.tick():
            total += begun
            await asyncio.gather(*self._under_way)
        return total

    async def drain(self, grace_s: float) -> None:
        """What is under way gets `grace_s` seconds; the wishes of the rest stand."""
        if not self._under_way:
            return
        _, late = await asyncio.wait(self._under_way, timeout=grace_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _work(self, wish: WantedText) -> None:
        try:
            self._observe(await self._fulfil(wish))
        except Exception as error:  # a bug stops one article, which counts as a try
            log.exception("reading an article failed", extra={"feed": wish.entry.feed})
            try:
                self._observe(await self._failed(wish, ParseError(f"{type(error).__name__}: {error}")))
            except Exception:  # its lease runs out
                log.exception("an article could not be put off", extra={"feed": wish.entry.feed})

    async def _fulfil(self, wish: WantedText) -> Reading:
        setup, entry = self._setup(), wish.entry
        feed = setup.feeds.get(entry.feed)
        try:
            if feed is None or not feed.full_text or not entry.link:
                return await self._give_up(entry)
            page = await self._pages.page(feed, entry.link)
            try:
                text = await self._reader.article(page)
            finally:
                if page.held is not None:
                    page.held.release()
            return await self._take(setup, feed, entry, text)
        except (FetchError, ParseError) as error:
            return await self._failed(wish, error)
        except StoreError as error:  # the wish stands, and is due again when its lease runs out
            log.warning("a full text could not be stored: %s", error, extra={"feed": entry.feed})
            return Reading(feed=entry.feed, outcome="later")

    async def _take(self, setup: Setup, feed: Feed, entry: Entry, text: str) -> Reading:
        """Write the entry with its article, and what its rules now find."""
        if len(text) <= max(len(entry.content), len(entry.summary)):
            await self._texts.drop([_number(entry)])
            return Reading(feed=entry.feed, outcome="nothing new")
        now = self._clock.now()
        whole = replace(entry, content=text, version=entry.version + 1)
        # Hits keep the names that they have on the entry as it was: what is known is not told again.
        found = match(setup, feed, [replace(whole, version=entry.version)], now)
        hits = tuple(replace(hit, entry_version=whole.version) for hit in found)
        entries = {entry.key: whole}
        asked = question(hits, entries, setup.rule_configs, setup.config.settings, now)
        if asked is not None:
            asked = replace(asked, hits=tuple(hit.id for hit in hits))
        fresh = await self._texts.fill(
            whole, now, question=asked, route=partial(self._route, setup, hits, entries, now)
        )
        return Reading(feed=entry.feed, outcome="read", hits=fresh)

    def _route(
        self, setup: Setup, hits: Sequence[Hit], entries: Mapping[str, Entry], now: datetime, around: Surroundings
    ) -> Routed:
        channels, settings = setup.config.channels, setup.config.settings
        return route(hits, entries, setup.rule_configs, channels, settings, around, now, recipients=self._recipients)

    async def _failed(self, wish: WantedText, error: FetchError | ParseError) -> Reading:
        """Again later, where that may help; a host that wants rest gets it."""
        entry, now = wish.entry, self._clock.now()
        log.info("no full text: %s", error, extra={"feed": entry.feed, "link": entry.link})
        if wish.tries >= TRIES or not error.transient:
            return await self._give_up(entry)
        asked_s = error.retry_after_s if isinstance(error, FetchError) else None
        limits = host_limits(host_key(entry.link or ""), asked_s, now, "Retry-After")
        again_at = max([now + PAUSE * wish.tries, *(limit.not_before for limit in limits)])
        await self._texts.put_off(_number(entry), again_at, limits)
        return Reading(feed=entry.feed, outcome="later")

    async def _give_up(self, entry: Entry) -> Reading:
        await self._texts.drop([_number(entry)])
        return Reading(feed=entry.feed, outcome="given up")


def _number(entry: Entry) -> int:
    if entry.id is None:
        raise AggregatorError("a wish is always about a stored entry")
    return entry.id
