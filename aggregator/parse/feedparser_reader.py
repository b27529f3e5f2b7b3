"""The reference reader: feedparser with our corrections, whose answers every other reader here has to reproduce.

Markup is not sanitised and its links are not resolved, because only its visible text is kept.
"""

import io
import re
import warnings
from calendar import timegm
from datetime import MAXYEAR
from itertools import islice
from typing import Any

import feedparser

from aggregator.parse.corrections import corrected
from aggregator.parse.dates import EARLIEST_YEAR, instant
from aggregator.parse.fastxml.elements import KINDS, is_file
from aggregator.parse.normalize import Draft, FeedDraft, Text
from aggregator.parse.payload import IN_UTF8, Broken, Source

_HARMLESS = (feedparser.CharacterEncodingOverride, feedparser.NonXMLContentType)
_ILL_FORMED = "The document is not well-formed XML ({}); it was read tolerantly."


def read(source: Source) -> tuple[FeedDraft, str]:
    """The feed of a document in UTF-8 as feedparser reads it, and the version that it recognised ("" for none).

    Raises Broken where feedparser raises anything.
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
        feed.literal = parsed.version.startswith("atom")
        feed.entries = [_entry(entry, source.url, feed.literal) for entry in parsed.entries]
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise Broken(f"{type(error).__name__}: {error}") from error
    if parsed.bozo and not isinstance(parsed.bozo_exception, _HARMLESS):
        feed.warnings.append(_ILL_FORMED.format(re.sub(r"^<unknown>:", "line ", str(parsed.bozo_exception))))
    return feed, parsed.version


def _feed(found: Any) -> FeedDraft:
    feed = FeedDraft()
    feed.title = _text(found, "title", "text/plain")
    feed.link = found.get("link")
    feed.lang = found.get("language")
    for link in found.get("links", ()):
        feed.linked(link.get("rel"), link.get("href"))
    return feed


def _entry(found: Any, base: str, literal: bool) -> Draft:
    draft = Draft()
    draft.literal = literal
    draft.guid = found.get("id")
    draft.link = found.get("link")
    draft.original = _origin(found)
    draft.title = _text(found, "title", "text/plain")
    if not draft.title[0]:
        draft.title = _text(found, "media_title", "text/plain")
    draft.summary = _text(found, "summary", "text/html")
    contents = found.get("content", ())
    draft.contents = [(content["value"], content.get("type", "text/html")) for content in contents]
    draft.more = found.get("more_texts", [])
    people = found.get("authors", ())
    draft.people = [name for name in (p.get("name") or p.get("email") for p in people) if name]
    draft.tags = [term for term in (tag.get("term") or tag.get("label") for tag in found.get("tags", ())) if term]
    draft.published = _date(found, "published")
    if draft.published is None:
        draft.published = _date(found, "created")
    draft.updated = _date(found, "updated")
    links = found.get("links", ())
    draft.enclosures = [link["href"] for link in links if link.get("rel") == "enclosure" and link.get("href")]
    details = [detail for detail in (found.get("title_detail"), found.get("summary_detail"), *contents) if detail]
    draft.lang = found.get("language") or next((d["language"] for d in details if d.get("language")), None)
    draft.base = next((d["base"] for d in details if d.get("base")), base)
    if draft.base == base and found.get("site"):
        draft.base = found["site"]
    files = (link["href"] for link in links if link.get("href") and not _is_page(link) and is_file(*_kind(link)))
    draft.fallbacks = [*islice(files, 1), found.get("permalink", "")]
    return draft


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
    """Our own reading of the date first, because feedparser drops zones; then feedparser's."""
    if key not in found:  # `updated` must be asked for like this: feedparser falls back to `published`
        return None
    if when := instant(found[key]):
        return when.timestamp()
    parsed = found.get(f"{key}_parsed")
    # It moves dates at the end of the calendar past it, which is no instant.
    return float(timegm(parsed)) if parsed and EARLIEST_YEAR <= parsed[0] <= MAXYEAR else None
