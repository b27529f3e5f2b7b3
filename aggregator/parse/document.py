"""Reading of one document, from bytes to rows: unpack, sniff, repair, take the cheapest level that will do.

Runs inside a worker. The readers are tried from quick to tolerant: fastxml, fastxml on the repaired text,
feedparser.
"""

import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal
from xml.etree.ElementTree import ParseError

import msgspec

from aggregator.core.text import charset
from aggregator.core.text.prolog import is_feed
from aggregator.core.text.sanitize import clean_text
from aggregator.parse import incremental, jsonfeed, limits, repair, services, sniff
from aggregator.parse.crosscheck import Crosscheck
from aggregator.parse.fastxml import feed as lean
from aggregator.parse.fastxml.elements import Unsupported
from aggregator.parse.fastxml.namespaces import respelled
from aggregator.parse.feed_hints import hints
from aggregator.parse.normalize import (
    Found,
    Quarantined,
    RawEntry,
    RawFeed,
    address,
    headline,
    language,
    to_record,
)
from aggregator.parse.payload import Payload, ReaderFailure, Rejected
from aggregator.parse.payload import rejected_as_hostile as hostile_document
from aggregator.parse.workers.protocol import EntryRecord, How, Job, ParseReply

MAX_ENTRIES = 5000
MAX_POISON_BYTES = 65536
MAX_TRIED = 1000  # parts of a document that are read where the parser fails on the whole: 50 bad entries of any number

_crosscheck = Crosscheck()

FeedReader = Callable[[Payload], tuple[RawFeed, str]]
Rows = list[EntryRecord | Quarantined]  # in the order of the document; what could not be read stands in its place


def read(job: Job, max_body_bytes: int) -> ParseReply:
    """Return the entries of one document that `memory` does not know. Raises Rejected."""
    body = decompressed(job.body, max_body_bytes)
    if job.how is not None and (reply := _other_kind(job, job.how, body)):
        return reply
    sniff.check_kind(body)
    if services.is_telegram(body):
        feed = services.telegram(Payload(body, job.url, job.content_type))
        return _reply(feed, Payload(b"", job.url), "full", _rows(feed, ()), len(feed.entries))
    source = repair.declared_head(Payload(body, job.url, job.content_type, job.content_language))
    source = repair.without_doctype(source._replace(body=sniff.feed_in(source.body)))
    limits.check_size(source.body)
    if jsonfeed.looks_like_json(source.body):
        feed, poison = jsonfeed.read(source)
        items = len(feed.entries) + len(poison)
        _thin_out(feed)
        return _reply(feed, source, "full", [*_rows(feed, ()), *poison], items)
    return _delta(source, job.memory) or _full(source)


def _other_kind(job: Job, how: How, body: bytes) -> ParseReply | None:
    """Return what a reader of another kind finds; None for a sitemap that is a feed. Raises Rejected."""
    source = Payload(body, job.url, job.content_type, job.content_language)
    found: Found | None
    match how.kind:  # each loads a library that most workers never need
        case "sitemap":
            from aggregator.parse import sitemap

            found = sitemap.read(source, job.memory)
        case "page":
            from aggregator.parse import page

            found = page.read(source, dict(how.select))
        case "watch":
            from aggregator.parse import watch

            found = watch.read(source, how, job.memory)
        case "mail":
            from aggregator.parse import mail

            found = mail.read(source, how.senders, attachments=how.attachments)
    if found is None:
        return None
    _thin_out(found.feed)
    level: Literal["full", "delta"] = "delta" if found.partial else "full"
    reply = _reply(found.feed, source._replace(body=b""), level, _rows(found.feed, ()), found.items, found.memory)
    return msgspec.structs.replace(reply, parts=found.parts, select=found.select, nothing=found.nothing)


def _delta(source: Payload, memory: bytes | None) -> ParseReply | None:
    """Read only the entries whose bytes are new (level 3). None if that cannot be done with certainty."""
    known = incremental.unpack_memory(memory)
    layout = incremental.split_entries(source, well_formed=False) if known else None
    if not known or not layout:
        return None
    hashes = incremental.item_hashes(layout)
    new, document = incremental.unseen(layout, hashes, known)
    if len(new) > min(len(hashes) // 2, MAX_ENTRIES):
        return None
    feed, _ = read_xml(source.rewritten(document))
    primed = not new or new[0] != 0
    if len(feed.entries) != len(new) + primed:
        return None
    feed.entries = feed.entries[primed:]
    rows = _rows(feed, [layout.entry(place) for place in new])
    names = dict(known.items) | {hashes[place]: _name(row) for place, row in zip(new, rows, strict=True)}
    if _name_is_shared(names, hashes, new):
        return None
    rows = _hashed(rows, [hashes[place] for place in new])
    after = incremental.remember(layout, source, hashes, (names[item] for item in hashes))
    return _reply(feed, source, "delta", rows, len(hashes), after)


def _full(source: Payload) -> ParseReply:
    """Read everything (level 4), with a memory for the next time if the document can be split."""
    feed, well_formed = read_xml(source)
    items = len(feed.entries)
    layout = incremental.split_entries(source, well_formed=well_formed)
    kept = _thin_out(feed)
    if layout is None or len(layout.ranges) != items:
        return _reply(feed, source, "full", _rows(feed, ()), items)
    rows = _rows(feed, [layout.entry(place) for place in kept])
    known = incremental.item_hashes(layout)
    hashes = [known[place] for place in kept]
    memory = incremental.remember(layout, source, hashes, map(_name, rows))
    return _reply(feed, source, "full", _hashed(rows, hashes), items, memory)


def _thin_out(feed: RawFeed) -> Sequence[int]:
    """Keep only the maximum number of entries, with a warning; return their places.

    The youngest stay if entries have dates; else those at both ends, because one of them is where news is added.
    """
    count = len(feed.entries)
    if count <= MAX_ENTRIES:
        return range(count)
    dates = [_date(entry) for entry in feed.entries]
    if 10 * sum(date > 0 for date in dates) >= 9 * count:
        kept = sorted(sorted(range(count), key=dates.__getitem__, reverse=True)[:MAX_ENTRIES])
        which = f"the youngest {MAX_ENTRIES:,}"
    else:
        half = MAX_ENTRIES // 2
        kept = [*range(half), *range(count - MAX_ENTRIES + half, count)]
        which = f"the first and the last {half:,}"
    feed.entries = [feed.entries[place] for place in kept]
    feed.warnings.append(f"The feed has {count:,} entries; only {which} were read.")
    return kept


def _date(entry: RawEntry | Quarantined) -> float:
    return 0.0 if isinstance(entry, tuple) else entry.published or entry.updated or 0.0


def _name_is_shared(names: dict[bytes, bytes], hashes: Sequence[bytes], new: Sequence[int]) -> bool:
    """Tell whether a new entry shares a name with another one here: only the whole document tells them apart."""
    present = Counter(names[item] for item in dict.fromkeys(hashes))
    new_names = (names[hashes[place]] for place in new)
    return any(present[name] > 1 for name in new_names if name != incremental.NAMELESS)


def _name(row: EntryRecord | Quarantined) -> bytes:
    return incremental.NAMELESS if len(row) == 2 else incremental.name_hash(row[0], row[1])


def _hashed(rows: Rows, hashes: Sequence[bytes]) -> Rows:
    """Add the hashes of their bytes to rows."""
    return [row if len(row) == 2 else (*row[:-1], item.hex()) for row, item in zip(rows, hashes, strict=False)]


def read_xml(source: Payload) -> tuple[RawFeed, bool]:
    """Return the feed, and whether the document is known to be well-formed XML. Raises Rejected."""
    if not _crosscheck.trusted:
        return _tolerantly(source), False
    try:
        return _compared(lean.read_feed(source), source), True
    except Unsupported:
        known = respelled(source.body)
        return (_tolerantly(source), False) if known == source.body else read_xml(source._replace(body=known))
    except (ParseError, ValueError) as error:
        feed = _repaired(source)
        feed.warnings = [f"The document is not well-formed XML ({error}); it was read tolerantly."]
    return feed, False


def _compared(feed: RawFeed, source: Payload) -> RawFeed:
    """Return what the fast reader found, unless feedparser's turn has come and it finds something else."""
    if not _crosscheck.is_due():
        return feed
    other = _tolerantly(source)
    if _crosscheck.agree(feed, other):
        return feed
    other.warnings.append("The fast reader disagrees with feedparser on this document; feedparser is used from now on.")
    return other


def _repaired(source: Payload) -> RawFeed:
    """Read an ill-formed document after repairing its usual mistakes."""
    repaired = source._replace(body=repair.ampersands(repair.closed(charset.whole(source.body))))
    try:
        return lean.read_feed(repaired)
    except (Unsupported, ParseError, ValueError):
        return _tolerantly(repaired)


def _tolerantly(source: Payload) -> RawFeed:
    """Read with feedparser, after removing what feedparser should not see."""
    from aggregator.parse import feedparser_reader  # costs a tenth of a second and 10 MB that most workers never need

    body = respelled(charset.whole(source.body))
    limits.check(body)
    source = source._replace(body=repair.for_feedparser(body))
    try:
        feed, version = feedparser_reader.read(source)
    except ReaderFailure as error:
        return _without_bad_entries(source, feedparser_reader.read, error)
    if not version and not feed.entries and not _is_empty_feed(feed, source.body):
        raise sniff.reject(source.body)
    return feed


def _is_empty_feed(feed: RawFeed, body: bytes) -> bool:
    """Tell whether a document without entries, of a kind that feedparser does not name, is a feed all the same."""
    return is_feed(body) and bool(feed.title[0] or feed.link or b"netscape.com/rdf/simple/0.9" in body[:4096])


def _without_bad_entries(source: Payload, reader: FeedReader, error: Exception) -> RawFeed:
    """Read the entries without those on which the reader fails: found by halving."""
    layout = incremental.split_entries(source, well_formed=False)
    if not layout:
        raise Rejected(f"The parser failed on this document ({error}).", "broken") from error
    whole: RawFeed | None = None
    entries: list[RawEntry | Quarantined] = []
    count, attempts = len(layout.ranges), MAX_TRIED
    parts = [range(count // 2, count), range(count // 2)] if count > 1 else [range(count)]
    while parts:
        part = parts.pop()
        failure: Exception = error
        if attempts:
            attempts -= 1
            try:
                feed, _ = reader(source.rewritten(layout.only(*part)))
            except ReaderFailure as broken:
                failure = broken
            else:
                whole = whole or feed
                entries += feed.entries
                continue
        if attempts and len(part) > 1:
            middle = part.start + len(part) // 2
            parts += [range(middle, part.stop), range(part.start, middle)]
        else:
            entries += [(layout.entry(place)[:MAX_POISON_BYTES], str(failure)) for place in part]
    if whole is None:
        raise Rejected(f"The parser failed on every entry ({error}).", "broken") from error
    whole.entries = entries
    return whole


def _rows(feed: RawFeed, raw: Sequence[bytes]) -> Rows:
    """Finish entries; one that cannot be finished is put aside with its bytes and the reason."""
    lang = language(feed.lang)
    rows: Rows = []
    for place, raw_entry in enumerate(feed.entries):
        if isinstance(raw_entry, tuple):
            rows.append(raw_entry)
            continue
        try:
            rows.append(to_record(raw_entry, lang))
        except Exception as error:  # noqa: BLE001 -- whatever is wrong with one entry does not concern the others
            kept = raw[place][:MAX_POISON_BYTES] if place < len(raw) else b""
            rows.append((kept, f"{type(error).__name__}: {error}"))
    return rows


def _reply(
    feed: RawFeed, source: Payload, level: Literal["full", "delta"], rows: Rows, items: int, memory: bytes | None = None
) -> ParseReply:
    """Build the reply for a feed that was read."""
    links: dict[str, str] = {}
    for relation, href in feed.links:
        if found := address(href, source.url):
            links.setdefault(relation, found)
    return ParseReply(
        parse_level=level,
        title=clean_text(headline(feed.title, feed.literal)),
        link=address(feed.link, source.url),
        lang=language(feed.lang),
        entries=tuple(row for row in rows if len(row) != 2),
        items=items,
        hints=hints(source.body),
        hub=links.get("hub"),
        self_url=links.get("self"),
        prev_archive=links.get("prev-archive"),
        warnings=tuple(map(clean_text, feed.warnings)),
        quarantined=tuple(row for row in rows if len(row) == 2),
        memory=memory,
    )


def decompressed(body: bytes, max_bytes: int) -> bytes:
    """Decompress the body if it is gzip (by its magic number, whatever the headers said)."""
    if not body.startswith(b"\x1f\x8b"):
        return body
    try:
        stream = zlib.decompressobj(wbits=31)
        plain = stream.decompress(body, max_bytes)
    except zlib.error as error:
        raise Rejected(f"The gzipped document is corrupt ({error}).", "broken") from error
    if stream.unconsumed_tail:
        raise hostile_document(f"The decompressed document is larger than {max_bytes // 2**20} MiB.")
    if not stream.eof:
        raise Rejected("The gzipped document is truncated.", "broken")
    return plain
