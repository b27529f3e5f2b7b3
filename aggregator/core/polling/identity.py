"""Identity of entries: a key within the feed, aliases that only ever suppress an alert, a hash of the text.

The key comes from the first usable of guid, link and text (RFC 4287, 4.2.6; RSS 2.0, guid). Aliases
recognise an entry whose guid or link has changed: the same link or title with the same date.
"""

import re
from binascii import b2a_base64
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import combinations
from urllib.parse import unquote, urljoin

from aggregator.core.model import ParsedEntry
from aggregator.core.text.urls import canonical_url, parameters, without_parameters

EntryIdentity = tuple[str, tuple[str, ...]]
Path = tuple[str, str, str, str]

KEY_BYTES = 16
ALIAS_BYTES = 9
_TEXT, _LINK, _DATE = slice(0, 8), slice(8, 12), slice(12, 16)
_SAMPLE = 500  # characters of text that stand for an undated entry
_URL_SAFE = bytes.maketrans(b"+/", b"-_")  # RFC 4648, 5
_NONE: Mapping[frozenset[str], str] = {}
_MAX_PARAMETERS = 6  # of a link, any two of which may change between polls
_WAS_RAW = re.compile(r"%(?:20|22|3[CE]|5[CE]|60|7[BCD])")
_ORIGIN = re.compile(r"https?://([^/?#]+)", re.IGNORECASE)
_NAMED = re.compile(r"[:\s]")
_WEB_GUID = re.compile(r"https?://(www\.)?", re.IGNORECASE)


def identify(
    entries: Sequence[ParsedEntry], distrust_guid: bool, volatile: Collection[str] = ()
) -> tuple[EntryIdentity, ...]:
    """Return key and aliases of each entry of a document, in its order; verbatim copies share a key.

    `distrust_guid`: the feed's guids are known to be bad, so link and title are the key. `volatile`:
    parameters of links that change with each poll and identify nothing. A key that occurs twice in the
    document is made longer by link, date and title, never by a position.
    """
    links = [without_parameters(entry.link, volatile) if entry.link else "" for entry in entries]
    paths = [_path(entry, link, distrust_guid) for entry, link in zip(entries, links, strict=True)]
    lengths = _lengths(set(paths))
    shared = {link for link, count in Counter(links).items() if count > 1 or _is_front_page(link)}
    return tuple(
        (_digest(path[: lengths[path]], KEY_BYTES), _aliases(entry, path, link, link in shared))
        for entry, link, path in zip(entries, links, paths, strict=True)
    )


def spellings(entry: ParsedEntry, address: str) -> tuple[str, ...]:
    """Return the keys that an entry has under other spellings of its guid or link.

    A site that moves to https, or to or from `www.`, rewrites all its guids. Earlier versions took links and
    guids relative to the feed at `address`, and links without the spaces in them.
    """
    guid = " ".join((entry.guid or "").split())
    if written := _WEB_GUID.match(guid):
        starts = ("https://", "https://www.", "http://", "http://www.")
        others = [f"guid {start}{guid[written.end() :]}" for start in starts if start != written[0].lower()]
    elif guid and not _NAMED.search(guid):
        others = [f"guid {joined}"] if (joined := _joined(address, guid)) else []
    elif entry.link and not guid:
        others = [f"link {link}{_fragment(entry)}" for link in _former_links(entry.link, address)]
    else:
        return ()
    return tuple(_digest((other,), KEY_BYTES) for other in others)


def _joined(address: str, guid: str) -> str:
    try:
        return urljoin(address.partition("?")[0], guid)
    except ValueError:
        return ""


def _former_links(link: str, address: str) -> list[str]:
    former = []
    if _WAS_RAW.search(link):
        former.append(canonical_url(_WAS_RAW.sub(lambda found: unquote(found[0]).strip(), link)))
    site, feed = _ORIGIN.match(link), _ORIGIN.match(address)
    if site and feed and site[1].lower() != feed[1].lower():
        former.append(canonical_url(feed[0] + link[site.end() :]))
    return former


def undecided(entries: Sequence[ParsedEntry], distrust_guid: bool) -> tuple[Mapping[frozenset[str], str], ...]:
    """Return, for each entry identified by its link, the key it would have without each set of parameters.

    Stored as aliases, these tell at the next poll which parameters of the same links have changed.
    """
    found: list[Mapping[frozenset[str], str]] = []
    for entry in entries:
        if not entry.link or (entry.guid and not distrust_guid):
            found.append(_NONE)
            continue
        named = parameters(entry.link)[:_MAX_PARAMETERS]
        keys: dict[frozenset[str], str] = {}
        for left_out in (frozenset(some) for size in (1, 2) for some in combinations(named, size)):
            path = _path(entry, without_parameters(entry.link or "", left_out), distrust_guid)
            keys[left_out] = _digest(path[:1], KEY_BYTES)
        found.append(keys)
    if not any(found):
        return tuple(found)
    shared = Counter(key for keys in found for key in set(keys.values()))
    return tuple({names: key for names, key in keys.items() if shared[key] == 1} if keys else _NONE for keys in found)


def guid_is_repeated(entries: Iterable[ParsedEntry]) -> bool:
    """Tell whether entries of a document share a guid but differ in link (or in title, if links are absent)."""
    first: dict[str, ParsedEntry] = {}
    for entry in entries:
        other = first.setdefault(entry.guid, entry) if entry.guid else entry
        if (other.link or other.title) != (entry.link or entry.title):
            return True
    return False


def content_hash(entry: ParsedEntry) -> bytes:
    """Return 16 bytes: 8 for an entry's text, 4 for its link and 4 for its date (zeros if absent).

    An edit changes the text. Links contain session ids and dates are touched, so they are no sign of
    an edit; they show whether a known guid was given to another entry.
    """
    words = (entry.title, entry.summary, entry.content, entry.author, *sorted(entry.categories))
    files = (url.partition("?")[0] for url in entry.enclosures)
    text = blake2b("\0".join((*words, *files)).encode(), digest_size=8).digest()
    return text + _short(canonical_url(entry.link) if entry.link else "") + _short(_date(entry))


def same_text(one: bytes, other: bytes) -> bool:
    """Tell whether two content hashes are of the same text."""
    return one[_TEXT] == other[_TEXT]


def is_elsewhere(one: bytes, other: bytes) -> bool:
    """Tell whether two content hashes are of entries with different links that do not share a date."""
    links = one[_LINK], other[_LINK]
    dates = one[_DATE], other[_DATE]
    return all(map(any, links)) and links[0] != links[1] and not (any(dates[0]) and dates[0] == dates[1])


def longer_key(entry: ParsedEntry) -> str:
    """Return the key of an entry whose guid is known for another entry."""
    link = canonical_url(entry.link) if entry.link else ""
    return _digest(_path(entry, link, False), KEY_BYTES)


def _path(entry: ParsedEntry, link: str, distrust_guid: bool) -> Path:
    """Return the parts of an entry's identity, from general to particular; its key is a prefix of them."""
    place = link + _fragment(entry)
    if entry.guid and not distrust_guid:
        base = f"guid {' '.join(entry.guid.split())}"
    elif link and not _is_front_page(link):
        base = f"link {place} {_title(entry)}" if distrust_guid else f"link {place}"
    else:
        base = "\0".join(("text", entry.title, entry.summary or entry.content, *entry.enclosures[:1]))
    return base, place, _date(entry), _title(entry)


def _lengths(paths: set[Path]) -> dict[Path, int]:
    """Return how much of each path is needed to tell it from the others."""
    lengths = dict.fromkeys(paths, 1)
    for length in (1, 2, 3):
        same = Counter(path[:length] for path, needed in lengths.items() if needed == length)
        if len(same) == len(paths):
            break
        for path, needed in lengths.items():
            if needed == length and same[path[:length]] > 1:
                lengths[path] = length + 1
    return lengths


def certain(entry: ParsedEntry, aliases: Sequence[str]) -> Sequence[str]:
    """Return those of an entry's aliases that show it to be known.

    Link and title of an undated entry are only a hint, which tells bad guids where most of a document has it: a
    report that keeps both, under a guid and with a text of its own, is another one.
    """
    return aliases[:-1] if _is_hinted(entry) else aliases


def _aliases(entry: ParsedEntry, path: Path, link: str, link_is_shared: bool) -> tuple[str, ...]:
    """Return the aliases: link and date; link, title and text; title and date; never a title or shared link alone.

    A text stands for the date of an undated entry. The hint of `certain` comes last.
    """
    title, sample = path[3], _sample(entry)
    # The date, or else that of the last change: with another guid, it is no edit.
    date = path[2] or (entry.updated_at.isoformat() if entry.updated_at else "")
    found: list[tuple[str, ...]] = []
    if link and not link_is_shared:
        found.append(("link", link, date or sample))
    if link and title:  # a report that keeps page and headline is another one by its date and text
        found.append(("both", link, title, sample))
    if title and (detail := date or sample):
        found.append(("title", title, detail))
    if _is_hinted(entry):
        found.append(("both", link, title))
    return tuple(_digest(parts, ALIAS_BYTES) for parts in found)


def _is_hinted(entry: ParsedEntry) -> bool:
    if entry.published_at or entry.updated_at:
        return False
    return bool(entry.link and entry.link.strip() and _title(entry) and _sample(entry))


def _sample(entry: ParsedEntry) -> str:
    return (entry.summary or entry.content)[:_SAMPLE]


def _is_front_page(link: str) -> bool:
    """Tell whether a canonical link has no path beyond the host."""
    return link.count("/") == 2 and "?" not in link


def _fragment(entry: ParsedEntry) -> str:
    """Return the fragment that identifies an entry of a live page, whose entries share one address."""
    _, mark, fragment = (entry.link or "").partition("#")
    return mark + fragment


def _title(entry: ParsedEntry) -> str:
    return " ".join(entry.title.casefold().split())


def _date(entry: ParsedEntry) -> str:
    return entry.published_at.isoformat() if entry.published_at else ""


def _short(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=4).digest() if text else bytes(4)


def _digest(parts: Sequence[str], size: int) -> str:
    digest = blake2b("\0".join(parts).encode(), digest_size=size).digest()
    return b2a_base64(digest, newline=False).translate(_URL_SAFE, b"=").decode()
