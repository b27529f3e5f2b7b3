"""The port Parser: what hashes can decide is decided here, the rest in a worker."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from msgspec.structs import replace

from aggregator.core.model import FEED, HASH_BYTES, FeedState, Fetched, ParsedEntry, ParsedFeed, ParseLevel, Reading
from aggregator.core.polling.health import is_proven
from aggregator.ports import Begin, Recall

if TYPE_CHECKING:  # what has not changed is recognised by its hash, and needs none of these
    from aggregator.parse.workers.pool import WorkerLimits
    from aggregator.parse.workers.protocol import How, Reply, Request
    from aggregator.parse.workers.queues import ParserQueues

MAX_QUARANTINED = 65_536  # bytes of a message that are kept


class JobRunner(Protocol):
    """A runner of jobs: workers, or a test."""

    async def ask(self, job: "Request", source: str = "", *, proven: bool = False) -> "Reply":
        """Return the reply to one job that comes from `source` (a feed's id); `proven`: its last poll went well."""
        ...


class IncrementalParser:
    """Does as little as a document allows; see docs/decisions/0004-incremental-parsing.md."""

    def __init__(self, workers: JobRunner) -> None:
        self._workers = workers

    @staticmethod
    def fingerprint(body: bytes) -> bytes:
        """Return the hash by which a body is recognised."""
        return blake2b(body, digest_size=HASH_BYTES).digest()

    async def parse(
        self,
        fetched: Fetched,
        state: FeedState,
        recall: Recall | None = None,
        begin: Begin | None = None,
        reading: Reading = FEED,
    ) -> ParsedFeed:
        """Return the entries that the remembered document did not have. Raises ParseError.

        At the levels SAME_BODY and SAME_ENTRIES nothing was read: the feed's own facts are those of `state`,
        and there is nothing new to remember. After a part of a document (a 226, a push) the next whole one
        is still compared with the last whole one; the part's entries are remembered beside it.
        """
        seen = state.body_hash
        if fetched.unchanged:
            return _nothing_new(ParseLevel.SAME_BODY, state, seen)
        body_hash = self.fingerprint(fetched.body)
        same, body_hash = body_hash == seen[:HASH_BYTES], body_hash + fetched.digest
        if same:  # and however it is packed today: what is known of that stays until the body changes
            return _nothing_new(ParseLevel.SAME_BODY, state, seen if len(seen) > HASH_BYTES else body_hash)
        from aggregator.parse import replies
        from aggregator.parse.incremental import merged, same_entries
        from aggregator.parse.payload import Payload
        from aggregator.parse.workers.protocol import Job

        memory = await recall() if recall else None
        address = _base(fetched.url)
        source = Payload(fetched.body, address, fetched.content_type, fetched.content_language)
        how = _how(reading, state)
        if how is not None and how.kind == "mail":
            if begin:
                await begin()
            return await self._messages(fetched, state, how)
        if how is None and state.items and same_entries(memory, source):  # a memory outlives empty documents
            return _nothing_new(ParseLevel.SAME_ENTRIES, state, body_hash)
        if begin:
            await begin()
        job = Job(fetched.body, address, fetched.content_type, fetched.content_language, memory, how)
        feed = replies.parsed_feed(await self._workers.ask(job, state.id, proven=is_proven(state)), body_hash)
        if fetched.delta:
            feed = replace(feed, body_hash=state.body_hash, memory=merged(memory, feed.memory))
        return _discovered(feed, dict(reversed(fetched.links)))

    async def _messages(self, fetched: Fetched, state: FeedState, how: "How") -> ParsedFeed:
        """Return the messages of a bundle, each read as a document of its own; refused ones are quarantined.

        Where an attachment is to blame, the message is read without. Raises ParseError if it may be read later.
        """
        import msgspec

        from aggregator.core.text.bundles import unbundled
        from aggregator.parse import replies
        from aggregator.parse.workers.protocol import Job, Refusal

        feed = ParsedFeed(parse_level=ParseLevel.DELTA, title=state.title, body_hash=state.body_hash)
        entries: list[ParsedEntry] = []
        refused: list[tuple[bytes, str]] = []
        for name, message in unbundled(fetched.body):
            job = Job(message, "", "message/rfc822", "", None, how)
            reply = await self._workers.ask(job, state.id, proven=is_proven(state))
            if isinstance(reply, Refusal) and reply.found == "hostile":
                job = msgspec.structs.replace(job, how=msgspec.structs.replace(how, attachments=False))
                reply = await self._workers.ask(job, state.id, proven=is_proven(state))
            if isinstance(reply, Refusal) and not reply.transient:
                refused.append((message[:MAX_QUARANTINED], reply.message))
                continue
            read = replies.parsed_feed(reply, state.body_hash)
            entries += (replace(entry, guid=name) for entry in read.entries)
            refused += read.quarantined
        return replace(feed, entries=tuple(entries), items=len(entries), quarantined=tuple(refused))


def _how(reading: Reading, state: FeedState) -> "How | None":
    """Return what a worker needs to know of a document that is no feed."""
    if reading.kind == "feed":
        return None
    from aggregator.parse.workers.protocol import How

    quiet = sum(state.parse_levels[:2])  # not modified, and the same bytes
    return How(reading.kind, reading.select, reading.ignore, reading.senders, quiet)


def _base(url: str) -> str:
    """Return what links are relative to: without the query, which may hold a reader's own key."""
    return urlsplit(url)._replace(query="", fragment="").geturl()


def _nothing_new(level: ParseLevel, state: FeedState, body_hash: bytes) -> ParsedFeed:
    return ParsedFeed(
        parse_level=level,
        title=state.title,
        items=state.items,
        hints=state.hints,
        hub=state.hub,
        self_url=state.self_url,
        body_hash=body_hash,
    )


def _discovered(feed: ParsedFeed, links: dict[str, str]) -> ParsedFeed:
    """Return hub and self as HTTP names them before the document does (WebSub, 4)."""
    if "hub" not in links and "self" not in links:
        return feed
    return replace(feed, hub=links.get("hub", feed.hub), self_url=links.get("self", feed.self_url))


class _Workers:
    """The workers, of whom nothing is loaded before there is something to read."""

    def __init__(self, workers: int, limits: "Callable[[], WorkerLimits]") -> None:
        self._count, self._limits = workers, limits
        self._queues: ParserQueues | None = None

    async def ask(self, job: "Request", source: str = "", *, proven: bool = False) -> "Reply":
        if self._queues is None:
            from aggregator.parse.workers.queues import ParserQueues

            self._queues = ParserQueues(self._count, self._limits())
        return await self._queues.ask(job, source, proven=proven)

    async def close(self) -> None:
        if self._queues is not None:
            await self._queues.close()


@asynccontextmanager
async def parser(workers: int, limits: "Callable[[], WorkerLimits]") -> AsyncIterator[IncrementalParser]:
    """Open the parser with its workers, which end with the context."""
    runner = _Workers(workers, limits)
    try:
        yield IncrementalParser(runner)
    finally:
        await runner.close()
