"""Short names of well-known services: `telegram:channel` instead of an address. Pure rewriting, no request.

    NAME: VALUE | OPTION=VALUE …      google-news: S-400 | hl=no

What a service answers is a feed, or a document that parse/services.py reads.
"""

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import NamedTuple
from urllib.parse import quote, urlencode

_FORM = re.compile(r"\s*([a-z][a-z-]*)\s*:\s*(?!//)([^|]*?)\s*((?:\|[^|]*)*)")
_HANDLE = re.compile(r"@[\w.-]+@[\w-]+(?:\.[\w-]+)+")  # as it is written in the fediverse
_COUNTRY = {  # where a language's edition of Google News is published, if not in the country of the same code
    "en": "US", "no": "NO", "nb": "NO", "sv": "SE", "da": "DK", "uk": "UA", "ar": "EG", "he": "IL", "fa": "IR",
    "zh": "CN", "ja": "JP", "ko": "KR", "cs": "CZ", "el": "GR", "hi": "IN", "et": "EE", "sr": "RS", "sl": "SI",
    "pt": "PT", "pt-br": "BR", "en-gb": "GB", "vi": "VN",
}  # fmt: skip
_ARXIV_NAMES = """
astro-ph cond-mat gr-qc hep-ex hep-lat hep-ph hep-th math-ph nlin nucl-ex nucl-th physics quant-ph math cs q-bio q-fin
stat eess econ
"""
_ARXIV = frozenset(_ARXIV_NAMES.split())
_FEDERAL_FIELDS = ("title", "abstract", "html_url", "document_number", "publication_date", "type", "agencies")

Options = Mapping[str, str]


class BadShortName(ValueError):
    """A short name whose value its service cannot have; the text is `problem; remedy`."""


class Service(NamedTuple):
    """A service: an example, the options that it takes, and how a value becomes an address."""

    example: str
    address: Callable[[str, Options], str]
    options: tuple[str, ...] = ()


def expand(text: str) -> str | None:
    """Return the address that a short name stands for; None: it is none. Raises BadShortName."""
    found = _FORM.fullmatch(f"mastodon:{text.strip()}" if _HANDLE.fullmatch(text.strip()) else text)
    service = SERVICES.get(found[1]) if found else None
    if not found or service is None:
        return None
    if not found[2]:
        raise BadShortName(f"{found[1]}: names nothing; write for example {service.example}")
    options: dict[str, str] = {}
    for part in filter(None, map(str.strip, found[3].split("|"))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or key not in service.options or not value:
            known = f"it takes {', '.join(service.options)}" if service.options else "it takes none"
            raise BadShortName(f"{part!r} is not an option of {found[1]}; {known}, as in {service.example}")
        options[key] = value
    return service.address(found[2], options)


def near_miss(text: str) -> str | None:
    """Return the short name that a misspelt one was probably meant to be: `telegramm:x` → `telegram`."""
    found = _FORM.fullmatch(text)
    near = get_close_matches(found[1], SERVICES, n=1, cutoff=0.75) if found else None
    return near[0] if near else None


def _checked(value: str, form: str, wanted: str) -> str:
    """Return a value that has the form of its service's names. Raises BadShortName."""
    if not re.fullmatch(form, value):
        raise BadShortName(f"{value!r} is not a name there; write for example {wanted}")
    return value


def _youtube(value: str, _: Options) -> str:
    if value.startswith("@"):
        hint = f"`aggregator feeds discover https://www.youtube.com/{value}` finds its channel's id"
        raise BadShortName(f"{value!r} is a handle, which YouTube has no feed for; {hint}")
    value = _checked(value, r"[\w-]{2,64}", "youtube:UC…, the channel's id")
    if re.fullmatch(r"UC[\w-]{22}", value):
        return f"https://www.youtube.com/feeds/videos.xml?channel_id={value}"
    kind = "playlist_id" if re.fullmatch(r"(?:PL|UU|OL|FL)[\w-]{10,}", value) else "user"
    return f"https://www.youtube.com/feeds/videos.xml?{kind}={value}"


def _telegram(value: str, _: Options) -> str:
    return f"https://t.me/s/{_checked(value.removeprefix('@'), r'[A-Za-z][A-Za-z0-9_]{3,31}', 'telegram:durov')}"


def _mastodon(value: str, _: Options) -> str:
    found = re.fullmatch(r"(?:(#[\w]+)|@?([\w.-]+))@([\w-]+(?:\.[\w-]+)+(?::\d+)?)", value)
    if not found:
        raise BadShortName(
            f"{value!r} is not a name there; write mastodon:@user@server.example, or mastodon:#tag@server.example"
        )
    tag, user, host = found.groups()
    return f"https://{host}/tags/{quote(tag[1:])}.rss" if tag else f"https://{host}/@{quote(user)}.rss"


def _bluesky(value: str, _: Options) -> str:
    handle = _checked(value.removeprefix("@"), r"did:[a-z]+:[\w.:-]+|[\w-]+(?:\.[\w-]+)*", "bluesky:nato.int")
    handle = handle if "." in handle or ":" in handle else f"{handle}.bsky.social"
    return f"https://bsky.app/profile/{handle}/rss"


def _reddit(value: str, _: Options) -> str:
    found = re.fullmatch(r"/?(?:(r|u|user)/)?([\w-]{2,40})/?", value)
    if not found:
        raise BadShortName(f"{value!r} is not a name there; write reddit:CredibleDefense, or reddit:u/name")
    return f"https://www.reddit.com/{'r' if found[1] in (None, 'r') else 'user'}/{found[2]}/.rss"


def _github(value: str, _: Options) -> str:
    found = re.fullmatch(r"([\w-]+)(?:/([\w.-]+?)(?:/(releases|tags|commits))?)?/?", value)
    if not found:
        raise BadShortName(f"{value!r} is not a repository; write github:owner/name, or github:owner/name/commits")
    owner, name, part = found.groups()
    return (
        f"https://github.com/{owner}/{name}/{part or 'releases'}.atom" if name else f"https://github.com/{owner}.atom"
    )


def _google_news(value: str, options: Options) -> str:
    language = options.get("hl", "en").lower()
    country = options.get("gl", _COUNTRY.get(language, language.partition("-")[0].upper())).upper()
    words = f"{value} when:{options['when']}" if "when" in options else value
    short = language.partition("-")[0] if language != "pt-br" else "pt-419"
    shown = f"en-{country}" if language == "en" else language
    return "https://news.google.com/rss/search?" + urlencode(
        {"q": words, "hl": shown, "gl": country, "ceid": f"{country}:{short}"}
    )


def _gdelt(value: str, options: Options) -> str:
    words = f"{value} sourcelang:{options['lang']}" if "lang" in options else value
    return "https://api.gdeltproject.org/api/v2/doc/doc?" + urlencode(
        {
            "query": words,
            "mode": "artlist",
            "format": "json",
            "sort": "datedesc",
            "maxrecords": "75",
            "timespan": options.get("timespan", "1d"),
        }
    )


def _arxiv(value: str, _: Options) -> str:
    if value in _ARXIV or re.fullmatch(r"[a-z-]+\.[A-Za-z-]{2,}", value):
        return f"https://rss.arxiv.org/atom/{value}"
    query = value if ":" in value else " AND ".join(f'all:"{word}"' for word in value.split())
    return "https://export.arxiv.org/api/query?" + urlencode(
        {"search_query": query, "sortBy": "submittedDate", "sortOrder": "descending", "max_results": "50"}
    )


def _federal_register(value: str, options: Options) -> str:
    wanted = [("conditions[term]", value)]
    if "agency" in options:
        wanted.append(("conditions[agencies][]", options["agency"]))
    wanted += [("order", "newest"), ("per_page", "100"), *(("fields[]", name) for name in _FEDERAL_FIELDS)]
    return "https://www.federalregister.gov/api/v1/documents.json?" + urlencode(wanted)


def _blogspot(value: str, _: Options) -> str:
    name = _checked(value.removesuffix(".blogspot.com"), r"[A-Za-z0-9][A-Za-z0-9-]*", "blogspot:name")
    return f"https://{name.lower()}.blogspot.com/feeds/posts/default"


SERVICES: Mapping[str, Service] = {
    "arxiv": Service("arxiv:cs.CR", _arxiv),
    "blogspot": Service("blogspot:name", _blogspot),
    "bluesky": Service("bluesky:name.bsky.social", _bluesky),
    "federal-register": Service("federal-register: export controls", _federal_register, ("agency",)),
    "gdelt": Service("gdelt: S-400 | timespan=1d", _gdelt, ("lang", "timespan")),
    "github": Service("github:owner/name", _github),
    "google-news": Service("google-news: S-400 | hl=no", _google_news, ("gl", "hl", "when")),
    "mastodon": Service("mastodon:@user@server.example", _mastodon),
    "reddit": Service("reddit:CredibleDefense", _reddit),
    "telegram": Service("telegram:channel", _telegram),
    "youtube": Service("youtube:UC…", _youtube),
}
