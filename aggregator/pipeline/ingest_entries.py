"""Ingestion of a document's entries: news → match → next poll → commit (and route, inside it).

The part of a poll that needs the rules: it is loaded with the first document that has entries.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING

from msgspec import structs

from aggregator.core.model import (
    NO_VOCABULARY,
    Entry,
    FeedState,
    Fetched,
    Hit,
    ParsedFeed,
    PollResult,
    Reason,
    Report,
    UnroutedPoll,
)
from aggregator.core.polling import quota
from aggregator.core.polling.archive import with_archive
from aggregator.core.polling.new_entries import NewEntries, find_new_entries, names, with_articles
from aggregator.core.polling.parts import parts_of
from aggregator.core.polling.schedule import after_success
from aggregator.pipeline.archive import ArchiveReader, ArchiveResult
from aggregator.pipeline.context import ActiveConfig, Context
from aggregator.pipeline.matching import breathing, match_all
from aggregator.pipeline.polled import PolledFeed, health_news
from aggregator.pipeline.routing import commit_poll
from aggregator.ports import Feeds, Fetcher, Parser

if TYPE_CHECKING:
    from aggregator.core.settings import Feed

log = logging.getLogger(__name__)

MAX_PAUSE_S = 2.0  # after each part: others have half of the writer's time


class EntryIngestor:
    """Ingests the entries of documents; see `Ingestor`."""

    def __init__(self, context: Context, *, feeds: Feeds, fetcher: Fetcher, parser: Parser, full_text: bool) -> None:
        self._context, self._feeds, self._full_text = context, feeds, full_text
        self._archive = ArchiveReader(feeds, fetcher, parser)

    async def take(
        self,
        active: ActiveConfig,
        feed: "Feed",
        state: FeedState,
        response: Fetched,
        parsed: ParsedFeed,
    ) -> PolledFeed:
        """Store and match a document's entries, route their hits, and commit it all at once."""
        now, settings = self._context.now(), active.config.settings
        found = await self._news(active, feed, state, response, parsed, now)
        archive = (
            await self._archive.read(feed, state, response, parsed, now) if found.gap else ArchiveResult(closed=True)
        )
        if archive.entries:
            found = with_archive(found, archive.entries, settings.polling.flood_limit)
        if feed.full_text:
            found = replace(found, entries=await self._with_articles(state, found.entries))
        began = perf_counter()
        hits = await match_all(active, feed, found.entries, now)
        match_s = perf_counter() - began
        on_update = {hit.entry_key for hit in hits if active.rule_configs[hit.rule].on_update}
        matched = {hit.entry_key for hit in hits}
        needed = {e.key for e in found.entries if e.key in matched and quota.is_needed(e, on_update=e.key in on_update)}
        kept, today = quota.limited(found.entries, needed, state, settings.polling, now)
        if len(kept) < len(found.entries):
            keys = {entry.key for entry in kept}
            hits = tuple(hit for hit in hits if hit.entry_key in keys)
            log.info("%d entries exceed the daily budget", len(found.entries) - len(kept), extra={"feed": state.id})
        new_entries = [entry for entry in found.entries if entry.reason not in (Reason.CHANGED, Reason.TOO_OLD)]
        after, hosts = after_success(
            structs.replace(state, distrust_guid=found.distrust_guid, volatile=found.volatile, stored_today=today),
            feed,
            settings.polling,
            response=response,
            parsed=parsed,
            new_entries=len(new_entries),
            published=[entry.dated_at for entry in new_entries if entry.published_at],
            silent_after=settings.health.silent_after,
            pushed=state.hub_until is not None and state.hub_until > now,
            gap=found.gap,
            now=now,
        )
        poll = PollResult(
            state=after,
            entries=kept,
            hits=hits,
            hosts=(*hosts, *archive.hosts),
            notices=health_news(active, state, after, now, missed=not archive.closed),
            memory=parsed.memory,
            quarantined=() if today.left_out else (*parsed.quarantined, *archive.quarantined),
            articles_wanted=with_articles(kept) if feed.full_text and self._full_text else (),
        )
        stored, outcomes = await self._commit(active, poll, now)
        return PolledFeed(
            feed=state.id,
            parse_level=parsed.parse_level,
            entries=stored,
            hits=len(hits),
            matched=len({hit.entry_key for hit in hits}),
            outcomes=outcomes,
            gap=("closed" if archive.closed else "open") if found.gap else None,
            match_s=match_s,
        )

    async def _news(
        self, active: ActiveConfig, feed: "Feed", state: FeedState, response: Fetched, parsed: ParsedFeed, now: datetime
    ) -> NewEntries:
        """Return the entries of a document that the store does not know yet."""
        polling = active.config.settings.polling
        named = names(parsed.entries, state)
        known, known_aliases = await self._feeds.known(state.id, named.keys, named.aliases)
        return find_new_entries(
            parsed,
            named,
            known,
            known_aliases,
            state=state,
            first_poll=feed.first_poll if feed.first_poll is not None else polling.first_poll,
            flood_limit=polling.flood_limit,
            now=now,
            partial=response.delta,
        )

    async def _with_articles(self, state: FeedState, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        """Keep the article that was read when a teaser is edited: the longer content stays."""
        changed = [entry.key for entry in entries if entry.reason is Reason.CHANGED]
        articles = await self._feeds.contents(state.id, changed) if changed else {}
        return tuple(
            structs.replace(entry, content=max(entry.content, articles.get(entry.key, ""), key=len))
            for entry in entries
        )

    async def _commit(
        self, active: ActiveConfig, poll: PollResult, now: datetime
    ) -> tuple[tuple[Entry, ...], Mapping[str, int]]:
        """Write a poll, a large one in parts, and route its hits: return what became of them.

        Each part holds entries with their own hits, so a crash between two of them loses nothing: what is
        not stored yet is as new on the next poll as it was on this one.
        """
        matched: dict[str, list[Hit]] = {}
        for hit in poll.hits:
            matched.setdefault(hit.entry_key, []).append(hit)
        vocabulary = NO_VOCABULARY
        if matched:
            vocabulary = await self._context.vocabulary.of([poll.state.id], active.router.settings.stories)
        reports: dict[tuple[str, str], Report] = {}
        async for some in breathing([entry for entry in poll.entries if entry.key in matched]):
            from aggregator.core.routing import describe  # without a hit, there is nothing to route

            reports |= describe(some, [hit for entry in some for hit in matched[entry.key]], now, vocabulary)
        stored, outcomes = list[Entry](), Counter[str]()
        for number, part in enumerate(parts_of(poll)):
            hit_keys = {hit.entry_key for hit in part.hits}
            entries = [entry for entry in part.entries if entry.key in hit_keys]
            known = {ref: reports[ref] for e in entries if (ref := (e.feed, e.key)) in reports}
            asked = UnroutedPoll(
                feed=poll.state.id,
                at=now,
                part=number,
                config=active.number,
                hits=part.hits,
                entries=tuple(entries),
                reports=known,
            )
            began, owner = perf_counter(), self._context.owner_of(part.state)
            written, what = await commit_poll(
                self._feeds, part, owner, asked, lambda: active.router, vocabulary.frequencies
            )
            stored += written
            outcomes.update(what)
            if part.unfinished:  # an alert takes six writes, each of which would wait for one of these parts
                await asyncio.sleep(min(perf_counter() - began, MAX_PAUSE_S))
        self._context.vocabulary.note(reports.values())
        if not self._feeds.routes_later:
            self._context.vocabulary.learn(reports.values())
        return tuple(stored), outcomes
