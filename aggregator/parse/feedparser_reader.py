"""The reference reader: feedparser with our corrections, whose answers every other reader here has to reproduce.

Markup is not sanitised and its links are not resolved, because only its visible text is kept.
"""

import io
import re
import warnings
from itertools import islice
from typing import Any

import feedparser

from aggregator.parse.corrections import corrected
from aggregator.parse.dates import instant
from aggregator.parse.fastxml.elements import KINDS, is_file
from aggregator.parse.normalize import NO_TITLE, OTHER_TITLES, RawEntry, RawFeed, Text
from aggregator.parse.payload import IN_UTF8, Payload, ReaderFailure

_HARMLESS = (feedparser.CharacterEncodingOverride, feedparser.NonXMLContentType)
_ILL_FORMED = "The document is not well-formed XML ({}); it was read tolerantly."


def read(source: Payload) -> tuple[RawFeed, str]:
    """Read a document in UTF-8 with feedparser; return the version that it recognised, too ("" for none).

    Raises ReaderFailure if feedparser raises anything.
    """
    headers = {
        "content-type": IN_UTF8,
        "content-language": source.content_language or None,
        "content-location": source.url,
    }
    try:
        with warnings.catch_warnings(), corrected():
            warnings.simplefilter("ignore")
            parsed = feedparser.parse(
                io.BytesIO(source.body), response_headers=headers, sanitize_html=False, resolve_relative_uris=False
            )
        feed = _feed(parsed.feed)
        if parsed.bozo and feed.link:
            feed.link = feed.link.replace("&amp", "&")  # the loose parser's half of an escaped ampersand
        feed.literal = parsed.get("version", "").startswith("atom")
        feed.entries = [_entry(entry, source.url, feed.literal) for entry in parsed.entries]
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise ReaderFailure(f"{type(error).__name__}: {error}") from error
    if parsed.bozo and not isinstance(parsed.bozo_exception, _HARMLESS):
        feed.warnings.append(_ILL_FORMED.format(re.sub(r"^<unknown>:", "line ", str(parsed.bozo_exception))))
    return feed, parsed.get("version", "")


def _feed(found: Any) -> RawFeed:
    feed = RawFeed()
    feed.title = _text(found, "title", "text/plain")
    feed.link = found.get("link")
    feed.lang = found.get("language")
    for link in found.get("links", ()):
        feed.linked(link.get("rel"), link.get("href"))
    return feed


def _entry(found: Any, base: str, literal: bool) -> RawEntry:
    raw = RawEntry()
    raw.literal = literal
    raw.guid = found.get("id")
    raw.link = found.get("link")
    raw.original = _origin(found)
    titles = (_text(found, key, "text/plain") for key in ("title", *OTHER_TITLES))
    raw.title = next((title for title in titles if title[0]), NO_TITLE)
    raw.summary = _text(found, "summary", "text/html")
    contents = found.get("content", ())
    raw.contents = [(content["value"], content.get("type", "text/html")) for content in contents]
    raw.more = found.get("more_texts", [])
    people = found.get("authors", ())
    raw.people = [name for name in (p.get("name") or p.get("email") for p in people) if name]
    raw.tags = [term for term in (tag.get("term") or tag.get("label") for tag in found.get("tags", ())) if term]
    raw.published = _date(found, "published")
    if raw.published is None:
        raw.published = _date(found, "created")
    raw.updated = _date(found, "updated")
    links = found.get("links", ())
    raw.enclosures = [link["href"] for link in links if link.get("rel") == "enclosure" and link.get("href")]
    details = [detail for detail in (found.get("title_detail"), found.get("summary_detail"), *contents) if detail]
    raw.lang = found.get("language") or next((d["language"] for d in details if d.get("language")), None)
    raw.base = next((d["base"] for d in details if d.get("base")), base)
    if raw.base == base and found.get("site"):
        raw.base = found["site"]
    files = (link["href"] for link in links if link.get("href") and not _is_page(link) and is_file(*_kind(link)))
    raw.fallbacks = [*islice(files, 1), found.get("permalink", "")]
    return raw


def _kind(link: Any) -> tuple[str | None, str | None]:
    return link.get("rel"), link.get("type")


def _is_page(link: Any) -> bool:
    return KINDS.get(link.get("type"), link.get("type")) in ("text/html", "application/xhtml+xml")


def _origin(found: Any) -> str | None:
    written = found.get("feedburner_origlink")
    return written if isinstance(written, str) else None


def _text(found: Any, key: str, default: str) -> Text:
    detail = found.get(f"{key}_detail") or {}
    return found.get(key) or "", detail.get("type", default)


def _date(found: Any, key: str) -> float | None:
    """Read the date with our own parser: feedparser's drops zones, and makes a date of a part of one."""
    # `updated` must be asked for like this: feedparser falls back to `published`
    when = instant(found[key]) if key in found else None
    return when.timestamp() if when else None
