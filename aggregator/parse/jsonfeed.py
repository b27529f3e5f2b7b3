"""JSON Feed 1.0 and 1.1 (https://www.jsonfeed.org/version/1.1/) as drafts; mistakes of type are forgiven."""

import json
import re
from typing import Any

from aggregator.core.text import charset
from aggregator.parse import services
from aggregator.parse.dates import instant
from aggregator.parse.normalize import RawEntry, RawFeed, address
from aggregator.parse.payload import Payload, Rejected

_GUARDS = (b"/", b")", b"f", b"w")  # the first signs of what _BEFORE matches
_TOLERANT = json.JSONDecoder(strict=False)
_SLIP = re.compile(r'"(?:[^"\\]++|\\.)*+"|,(?=\s*+[\]}])', re.DOTALL)
# What servers put before JSON: comments, and what keeps it from being run as a script.
_BEFORE = re.compile(
    r"(?:[\s\ufeff]|/\*(?:[^*]++|\*(?!/))*+\*/|//[^\n]*+\n|\)\]\}',?"
    r"|(?:for ?\(;;\)|while ?\((?:1|true)\));?)++(?=[\[{])"
)
_ESCAPE = re.compile(r'\\(["\\/bfnrt]|u[0-9A-Fa-f]{4})?')


def looks_like_json(body: bytes) -> bool:
    """Tell whether the first sign of a document is that of a JSON object or array."""
    start = body[:200].lstrip(b"\xef\xbb\xbf \t\r\n")
    guarded = start[:1] in _GUARDS and _BEFORE.match(body[:4096].decode("latin-1").lstrip("ï»¿"))
    return start[:1] in (b"{", b"[") or bool(guarded)


def read(source: Payload) -> tuple[RawFeed, tuple[tuple[bytes, str], ...]]:
    """Return the feed and what of it could not be read. Raises Rejected."""
    document, warnings = _loaded(charset.whole(source.body).decode("utf-8-sig"))
    if feed := services.in_json(document, source.url):
        return feed, ()
    if not isinstance(document, dict) or not _is_feed(document):
        raise Rejected("This is JSON, but not a JSON Feed.", "json")
    feed = RawFeed()
    feed.warnings += warnings
    feed.title = _string(document, "title"), "text/plain"
    feed.link = _string(document, "home_page_url") or None
    feed.lang = _string(document, "language") or None
    feed.linked("self", _string(document, "feed_url"))
    for hub in _listed(document, "hubs"):
        if isinstance(hub, dict) and _string(hub, "type").lower() in ("websub", "pubsubhubbub", ""):
            feed.linked("hub", _string(hub, "url"))
    base = address(feed.link, source.url) or source.url
    poison = []
    people = _people(document)
    for item in _listed(document, "items"):
        if isinstance(item, dict):
            feed.entries.append(_entry(item, base, people))
        else:
            poison.append((json.dumps(item).encode()[:65536], "an entry that is not an object"))
    return feed, tuple(poison)


def _loaded(text: str) -> tuple[Any, list[str]]:
    """Load JSON, raw line breaks and other control characters in strings included. Raises Rejected.

    Commas too many, escapes that JSON does not have, and what a server adds behind the end (a comment of its
    cache) are forgiven, with a warning.
    """
    if before := _BEFORE.match(text):
        text = text[before.end() :]
    try:
        return json.loads(text, strict=False), []
    except ValueError as error:
        why = str(error)
    try:
        document, _rest = _TOLERANT.raw_decode(_SLIP.sub(_without_slip, text.strip("\0 \t\r\n\ufeff;")))
    except ValueError:
        raise Rejected(f"This looks like JSON but cannot be parsed ({why}).", "broken") from None
    return document, [f"The document is not valid JSON ({why}); it was read tolerantly."]


def _without_slip(found: re.Match[str]) -> str:
    """Return a string with valid escapes; nothing for a comma before a closing bracket."""
    return _ESCAPE.sub(lambda escape: escape[0] if escape[1] else "", found[0]) if found[0][0] == '"' else ""


def _is_feed(document: dict[str, Any]) -> bool:
    """Tell a JSON Feed by its version, or else by items and an address. Some programs write `null` for no items."""
    if "jsonfeed.org" in _string(document, "version"):
        return document.get("items") is None or isinstance(document["items"], list | dict)
    return isinstance(document.get("items"), list | dict) and ("feed_url" in document or "home_page_url" in document)


def _entry(item: dict[str, Any], base: str, feed_people: list[str]) -> RawEntry:
    raw = RawEntry()
    raw.base = base
    raw.guid = _string(item, "id") or None
    raw.link = address(_string(item, "url"), base)
    raw.fallbacks = [address(_string(item, "external_url"), base) or "", raw.guid or ""]
    raw.title = _string(item, "title"), "text/plain"
    raw.summary = _string(item, "summary"), "text/plain"
    html, plain = _string(item, "content_html"), _string(item, "content_text")
    raw.contents = [(html, "text/html") if html else (plain, "text/plain")]
    raw.people = _people(item) or feed_people
    raw.tags = _names(_listed(item, "tags"))
    raw.published, raw.updated = _date(item, "date_published"), _date(item, "date_modified")
    files = _listed(item, "attachments")
    raw.enclosures = [_string(file, "url") for file in files if isinstance(file, dict) and _string(file, "url")]
    raw.lang = _string(item, "language") or None
    return raw


def _string(item: dict[str, Any], key: str) -> str:
    """Return a string; numbers are common where ids should be strings."""
    value = item.get(key)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # lone surrogates cannot be stored
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _people(item: dict[str, Any]) -> list[str]:
    """Return the authors: a list (JSON Feed 1.1), one object (1.0), or what is written for them."""
    return _names(_listed(item, "authors") or _listed(item, "author"))


def _names(given: list[Any]) -> list[str]:
    named = (_string(one, "name") or _string(one, "url") if isinstance(one, dict) else one for one in given)
    return [name for name in named if isinstance(name, str) and name]


def _listed(item: dict[str, Any], key: str) -> list[Any]:
    """Return a list; a single value makes one, and PHP writes a list with gaps as an object of objects."""
    value = item.get(key)
    if isinstance(value, dict):
        return list(value.values()) if all(isinstance(each, dict) for each in value.values()) else [value]
    return value if isinstance(value, list) else [value] if isinstance(value, str) and value.strip() else []


def _date(item: dict[str, Any], key: str) -> float | None:
    when = instant(_string(item, key))
    return when.timestamp() if when else None
