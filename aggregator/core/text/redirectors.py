"""Targets of links that go through click counters, as far as the link itself contains them."""

import re
from base64 import urlsafe_b64decode
from binascii import Error
from functools import lru_cache
from urllib.parse import parse_qs, unquote, urlsplit

DEEPEST = 4  # redirectors of redirectors

# Host, beginning of the path, parameters that hold the address.
_TABLE = """
google /url url q
google /imgres imgrefurl
news.google /news/url url
bing.com /news/apiclick.aspx url
bing.com /ck/a u
facebook.com /l.php u
l.facebook.com / u
lm.facebook.com / u
l.instagram.com / u
l.threads.net / u
l.threads.com / u
t.umblr.com /redirect z
youtube.com /redirect q
vk.com /away.php to
duckduckgo.com /l/ uddg
out.reddit.com / url
slack-redir.net /link url
linkedin.com /redir/redirect url
linkedin.com /safety/go url
medium.com /r/ url
exit.sc / url
steamcommunity.com /linkfilter url u
safelinks.protection.outlook.com / url
away.vk.com /away.php to
click.linksynergy.com /deeplink murl
go.redirectingat.com / url
yandex.ru /clck/jsredir url
yandex.ru /redir url
digg.com /redirect url
disq.us /url url
disq.us / url
"""
_REDIRECTORS = tuple((host, path, tuple(names)) for host, path, *names in map(str.split, _TABLE.strip().splitlines()))
_GOOGLE = re.compile(r"(?:(news)\.|www\.)?google(?:\.[a-z]{2,3}){1,2}")
_YAHOO = re.compile(r"/RU=([^/]+)/")
_ARTICLE = re.compile(r"/(?:rss/|__i/rss/rd/)?articles/([A-Za-z0-9_-]{20,})")
_ADDRESS = re.compile(rb"https?://[\x21-\x7e]+")
_WEB = re.compile(r"https?://[^/?#\s]", re.IGNORECASE)
_MAILED = re.compile(r"/[CL]L?0/(https?(?::|%3A)[^/]+)/\d+/", re.IGNORECASE)  # GovDelivery, Amazon SES
_AMP = re.compile(r"/(?:amp/)?(?:[acivr]/)?(s/)?([^/.]+\.[^/]+/.*)", re.DOTALL)
_URLDEFENSE = re.compile(r"/v3/__(https?:/+[^*]*?)__;", re.IGNORECASE)


_SUSPECT = re.compile(
    "|".join(
        (
            *(re.escape(host) for host, _, _ in _REDIRECTORS),
            *(
                r"search\.yahoo",
                r"href\.li",
                "anonym",
                r"govdelivery\.com",
                r"awstrack\.me",
                "ampproject",
                "urldefense",
            ),
        )
    )
)


def destination(url: str) -> str:
    """Return the address behind redirectors, or `url` itself if there is none; without any request."""
    for _ in range(DEEPEST):
        found = _behind(url)
        if not found or not _WEB.match(found):
            return url
        url = found
    return url


def _behind(url: str) -> str | None:
    if not _is_suspect(url[: url.find("/", 8)] if "/" in url[8:] else url):  # nearly always
        return None
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return None
    if google := _GOOGLE.fullmatch(host):
        host = "news.google" if google[1] else "google"
        if parts.path.startswith("/amp/"):
            return _amp(parts.path, parts.query)
        if google[1] and (article := _ARTICLE.search(parts.path)):
            return _article(article[1])
    elif host.endswith("search.yahoo.com") and (written := _YAHOO.search(parts.path)):
        return unquote(written[1])
    elif host.endswith(("govdelivery.com", ".awstrack.me")):
        return unquote(written[1]) if (written := _MAILED.match(parts.path)) else None
    elif host == "urldefense.com" and (written := _URLDEFENSE.match(url[url.find("/v3/") :])):
        return re.sub(r"(?<=:)/+", "//", written[1])
    elif host.endswith(".cdn.ampproject.org"):
        return _amp(parts.path, parts.query)
    elif host == "href.li" or (host.endswith("anonym.to") and parts.query):
        return unquote(parts.query) if "%3a" in parts.query[:12].lower() else url.partition("?")[2]
    for known, path, names in _REDIRECTORS:
        if (host == known or host.endswith(f".{known}")) and parts.path.startswith(path):
            given = parse_qs(parts.query)
            return next((_plain(given[name][0]) for name in names if name in given), None)
    return None


def _amp(path: str, query: str) -> str | None:
    """Return the page of a publisher that Google's cache shows: `/amp/s/` and the address, or `/c/s/` (s: https)."""
    found = _AMP.fullmatch(path)
    return f"{'https' if found[1] else 'http'}://{found[2]}{'?' if query else ''}{query}" if found else None


@lru_cache(maxsize=4096)
def _is_suspect(place: str) -> bool:
    """Tell whether scheme and host, and perhaps a little more of an address, name a redirector."""
    return bool(_SUSPECT.search(place.lower()))


def _plain(value: str) -> str:
    """Decode Bing's form: `a1` and the address in base 64."""
    return _decoded(value[2:]).decode("utf-8", "replace") if value.startswith("a1aHR0c") else value


def _article(code: str) -> str | None:
    """Decode an older id of Google News, which holds the address; newer ones do not."""
    found = _ADDRESS.search(_decoded(code))
    return found[0].decode() if found else None


def _decoded(code: str) -> bytes:
    try:
        return urlsafe_b64decode(code + "=" * (-len(code) % 4))
    except (Error, ValueError):
        return b""
