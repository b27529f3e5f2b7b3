"""Replies of a parse worker as values of the application."""

from datetime import UTC, datetime, timedelta

from aggregator.core.errors import ParseError
from aggregator.core.model import FeedHints, ParsedEntry, ParsedFeed, ParseLevel, SitemapPart
from aggregator.core.text.sanitize import clean_text
from aggregator.parse.workers.protocol import EntryRecord, ParseReply, Refusal, Reply

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_3000 = 32_503_680_000  # the C library of every platform knows the instants between


def parsed_feed(reply: Reply, body_hash: bytes) -> ParsedFeed:
    """Return the value of a reply. Raises the ParseError of a refusal."""
    if isinstance(reply, Refusal):
        raise ParseError(clean_text(reply.message), found=reply.found, transient=reply.transient)
    if not isinstance(reply, ParseReply):
        raise ParseError("The parser answered with something else.")
    ttl_s, period_s, hours, days = reply.hints
    return ParsedFeed(
        parse_level=ParseLevel(reply.parse_level),
        title=reply.title,
        link=reply.link,
        lang=reply.lang,
        entries=tuple(map(entry, reply.entries)),
        items=reply.items,
        hints=FeedHints(ttl_s=ttl_s, update_period_s=period_s, skip_hours=frozenset(hours), skip_days=frozenset(days)),
        hub=reply.hub,
        self_url=reply.self_url,
        prev_archive=reply.prev_archive,
        warnings=reply.warnings,
        quarantined=tuple((data, clean_text(reason)) for data, reason in reply.quarantined),
        body_hash=body_hash,
        memory=reply.memory,
        parts=tuple(SitemapPart(url=url, changed=changed) for url, changed in reply.parts),
        select=reply.select,
        nothing=clean_text(reply.nothing),
    )


def entry(row: EntryRecord) -> ParsedEntry:
    """Return one row as a value."""
    guid, link, title, summary, content, author, categories, published, updated, enclosures, lang, raw_hash = row
    return ParsedEntry(
        guid=guid,
        link=link,
        title=title,
        summary=summary,
        content=content,
        author=author,
        categories=categories,
        published_at=_at(published),
        updated_at=_at(updated),
        enclosures=enclosures,
        lang=lang,
        raw_hash=raw_hash,
    )


def _at(seconds: float | None) -> datetime | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC) if 0 <= seconds < _YEAR_3000 else _EPOCH + timedelta(seconds=seconds)
