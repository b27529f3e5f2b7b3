"""Documents of well-known services that are no feeds, recognised by their shape: the preview of a Telegram channel,
answers of GDELT and of the Federal Register. Their addresses come from core/short_names.py or are pasted."""

import re
from typing import Any
from urllib.parse import urlsplit

from aggregator.core.text.prolog import is_feed
from aggregator.parse.dates import instant
from aggregator.parse.normalize import RawEntry, RawFeed, address
from aggregator.parse.payload import Payload, Rejected

_TELEGRAM = re.compile(rb"<(?:body|main|div|link|section)\b[^>]{0,500}\btgme_(?:page|widget|channel|header)")
_LOOK_AT = 65_536
MAX_POSTS = 500


def is_telegram(body: bytes) -> bool:
    """Tell whether a page is Telegram's, by its elements' classes; a feed may quote them."""
    start = body[:_LOOK_AT]
    return b"tgme_" in start and _TELEGRAM.search(start) is not None and not is_feed(body)


def telegram(source: Payload) -> RawFeed:
    """Return the posts of a channel's preview (`https://t.me/s/NAME`). Raises Rejected."""
    from aggregator.parse import html

    tree = html.tree(source)
    feed = RawFeed()
    title = tree.css_first(".tgme_channel_info_header_title, .tgme_page_title")
    feed.title = (title.text().strip() if title else "", "text/plain")
    for post in tree.css("div.tgme_widget_message[data-post]")[:MAX_POSTS]:
        raw = RawEntry()
        name = post.attributes.get("data-post") or ""
        raw.guid = f"telegram:{name}"
        raw.link = address(f"https://t.me/{name}") if re.fullmatch(r"[\w-]+/\d+", name) else None
        texts = post.css(".tgme_widget_message_text")
        outer = [text for text in texts if "tgme_widget_message_text" not in _class(text.parent)]
        raw.contents = [(text.html or "", "text/html") for text in outer]
        preview = post.css(".link_preview_title, .link_preview_description, .tgme_widget_message_document_title")
        raw.more = [(part.html or "", "text/html") for part in preview]
        when = post.css_first("a.tgme_widget_message_date time[datetime], time.time[datetime]")
        found = instant(when.attributes.get("datetime") or "") if when else None
        raw.published = found.timestamp() if found else None
        if raw.contents or raw.more:
            feed.entries.append(raw)
    if not feed.entries and not tree.css_first(".tgme_channel_history, .tgme_channel_info"):
        raise Rejected("This channel has no public preview on Telegram.", "html", transient=False)
    return feed


def _class(node: Any) -> str:
    return (node.attributes.get("class") or "") if node is not None else ""


def in_json(document: object, url: str) -> RawFeed | None:
    """Return the entries of an answer in JSON that is no JSON Feed; None: it is of no known service."""
    if not isinstance(document, dict):
        return None
    articles, results = document.get("articles"), document.get("results")
    if isinstance(articles, list) and any(isinstance(one, dict) and "seendate" in one for one in articles):
        return _feed("GDELT", map(_gdelt, articles))
    host = urlsplit(url).hostname or ""
    if not document and (host == "gdeltproject.org" or host.endswith(".gdeltproject.org")):
        return _feed("GDELT", ())  # which answers like this when there is nothing
    if isinstance(results, list) and any(isinstance(one, dict) and "document_number" in one for one in results):
        return _feed("Federal Register", map(_federal, results))
    if document.get("count") == 0 and (host == "federalregister.gov" or host.endswith(".federalregister.gov")):
        return _feed("Federal Register", ())
    return None


def _feed(title: str, entries: Any) -> RawFeed:
    feed = RawFeed()
    feed.title = title, "text/plain"
    feed.entries = [entry for entry in entries if entry is not None]
    return feed


def _gdelt(article: object) -> RawEntry | None:
    """Return an article of GDELT's DOC API 2.0 (mode artlist)."""
    if not isinstance(article, dict):
        return None
    raw = RawEntry()
    raw.link = address(_text(article, "url"))
    raw.title = _text(article, "title"), "text/plain"
    raw.people = [_text(article, "domain")]
    found = instant(_text(article, "seendate"))
    raw.published = found.timestamp() if found else None
    return raw


def _federal(document: object) -> RawEntry | None:
    """Return a document of the Federal Register's API v1."""
    if not isinstance(document, dict):
        return None
    raw = RawEntry()
    raw.guid = f"federal-register:{_text(document, 'document_number')}"
    raw.link = address(_text(document, "html_url"))
    raw.title = _text(document, "title"), "text/plain"
    raw.summary = _text(document, "abstract"), "text/plain"
    agencies = document.get("agencies")
    named = [_text(one, "name") for one in agencies if isinstance(one, dict)] if isinstance(agencies, list) else []
    raw.people, raw.tags = named, [_text(document, "type")] if document.get("type") else []
    found = instant(_text(document, "publication_date"))
    raw.published = found.timestamp() if found else None
    return raw


def _text(found: dict[Any, Any], key: str) -> str:
    value = found.get(key)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
