"""Canonical forms of a page's address and of its title."""

import re
from collections.abc import Collection
from functools import cache, lru_cache
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit

_TRACKING = """
_ga _gl _hsenc _hsmi at_campaign at_medium cmp cmpid dclid ef_id fb_action_ids fb_action_types fb_ref fb_source fbclid
ftag gbraid gclid gclsrc guccounter guce_referrer guce_referrer_sig icid igsh igshid ito mc_cid mc_eid mkt_tok msclkid
ncid ns_campaign ns_mchannel oly_anon_id oly_enc_id rb_clickid s_cid smid srnd twclid vero_conv vero_id wbraid wickedid
yclid ysclid
"""
TRACKING = frozenset(_TRACKING.split())
TRACKING_PREFIXES = ("utm_", "pk_", "mtm_", "matomo_", "piwik_", "hsa_", "ga_")

DEFAULT_PORTS = {"http": 80, "https": 443}

_WRAPPED = re.compile(r"<(.*)>|\"(.*)\"|'(.*)'", re.DOTALL)
_UNSEEN = re.compile(r"[\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")
_PASTED_SCHEME = re.compile(
    r"(https?(?=:[/\\])|https(?=//)|feeds?(?=:)|pcast(?=:)|itpc(?=:)|podcast(?=:)|rss(?=:)|zune(?=:)|view-source(?=:)):?[/\\]*",
    re.IGNORECASE,
)
_NOT_WEB = re.compile(r"(?:mailto|xmpp|sips?|acct|tel|data|javascript|file|magnet|urn):", re.IGNORECASE)
_PLACE = re.compile(
    r"(?:[^/?#@\s]+@)?(\[[0-9a-fA-F:.]+\]|localhost|[\w-]+(?:\.[\w-]+)*\.[^\W\d_][\w-]+|\d{1,3}(?:\.\d{1,3}){3}|[\w.-]+(?=:\d))"
    r"\.?(?::\d{1,5})?(?=[/?#]|$)"
)
_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)([^/?#]*)@")
_FOUR_BYTES = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_PLAIN = re.compile(r"https?://((?:[a-z0-9-]+\.)+[a-z0-9-]+)((?:/[A-Za-z0-9._~-]+)*)/*(?:\?([A-Za-z0-9._~=&+,-]*))?")
# An address that every parser reads alike: a name or number in lower case, and nothing escaped, relative or empty.
_UNAMBIGUOUS = re.compile(
    r"(https?)://((?:[a-z0-9-]{1,63}\.)*[a-z0-9-]{1,63})(?::([1-9][0-9]{0,4}))?"
    r"((?:(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+/?|/)(?:\?[A-Za-z0-9._~=&-]+)?)?"
)
MAX_LABEL = 63
MAX_HOST = 253
MAX_PORT = 65_535

_PATH_PARAMETER = re.compile(r";([A-Za-z_][\w.-]*)=[^;/]*")
_PATH_SESSION = re.compile(r"/\((?:[A-Za-z]\([\w-]+\))+\)(?=/|$)")  # ASP.NET without cookies: /(S(lit3py55t21z5v55))/
_UNRESERVED = re.compile(rb"[A-Za-z0-9._~-]")


@lru_cache(maxsize=4096)  # keys, hashes and stories ask for the same links, one document at a time
def canonical_url(url: str) -> str:
    """Return an address for comparison, never for fetching: two links to one page give one string.

    Folds scheme (http is https), host, default port, percent-escapes (RFC 3986, 6.2.2), trailing
    slash, fragment, tracking parameters and the order of the others. What is no web address is
    only stripped.
    """
    url = url.strip()
    if plain := _PLAIN.fullmatch(url):  # most links: nothing to take apart
        kept = _kept(plain[3]) if plain[3] else ""
        return f"https://{plain[1]}{plain[2]}{'?' if kept else ''}{kept}"
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return url
    if parts.scheme not in ("http", "https") or not host:
        return url
    authority = f"[{host}]" if ":" in host else host
    if port not in (None, 80, 443):
        authority += f":{port}"
    query = _kept(_escapes(parts.query))
    return f"https://{authority}{_escapes(parts.path).rstrip('/')}{'?' if query else ''}{query}"


def is_ip_address(host: str) -> bool:
    """Say whether a host is an IP address; an IPv6 one comes without its brackets."""
    if ":" not in host:
        return _FOUR_BYTES.fullmatch(host) is not None
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class PlainUrl(NamedTuple):
    """A web address in its parts, all of them as written; `target` is path and query."""

    scheme: str
    host: str
    port: int
    target: str


@lru_cache(maxsize=4096)  # asked for by the queue of its host and by the request
def split_plain(url: str) -> PlainUrl | None:
    """Take an unambiguous address apart, as most are; None: any other needs a parser."""
    found = _UNAMBIGUOUS.fullmatch(url)
    if found is None:
        return None
    scheme, host, port, target = found.groups()
    number = int(port) if port else DEFAULT_PORTS[scheme]
    if number > MAX_PORT or len(host) > MAX_HOST:
        return None
    return PlainUrl(scheme, host, number, target or "/")


@cache  # it takes longer to compile than all others, and passes take no new address apart
def _label() -> re.Pattern[str]:
    return re.compile(r"[A-Za-z0-9_\-\u00a1-\ud7ff\ue000-\U0010ffff]+")


def host_error(host: str) -> str | None:
    """Return the fault of a host name (RFC 1035 §2.3.4, RFC 5891 §4.2), or None; IP addresses are not checked.

    An underscore and a hyphen at either end are no error: such names are in use.
    """
    if ":" in host:
        return None
    name = host.removesuffix(".")
    labels = name.split(".")
    if not all(labels):
        return "its host name has an empty label"
    if not all(map(_label().fullmatch, labels)):
        return "its host name contains an invalid character"
    sizes = [len(label) if label.isascii() else len(label.encode("punycode")) + 4 for label in labels]
    if max(sizes) > MAX_LABEL:
        return f"its host name has a label of more than {MAX_LABEL} characters"
    if sum(sizes) + len(sizes) - 1 > MAX_HOST:
        return f"its host name has more than {MAX_HOST} characters"
    return None


def parameters(url: str) -> tuple[str, ...]:
    """Return the lower-case names of an address's parameters; those of its path with a semicolon (`;jsessionid`).

    `/()` is a session in the path, `?` a query that is a single value without a name.
    """
    path, _, query = url.partition("#")[0].partition("?")
    names = ["/()"] if _PATH_SESSION.search(path) else []
    names += [f";{found[1]}" for found in _PATH_PARAMETER.finditer(path)]
    names += [part.partition("=")[0] for part in query.split("&") if "=" in part] or (["?"] if query else [])
    return tuple(dict.fromkeys(name.lower() for name in names))


def without_parameters(url: str, names: Collection[str]) -> str:
    """Return the canonical address without these parameters."""
    if not names:
        return canonical_url(url)
    path, _, query = url.partition("#")[0].partition("?")
    if "/()" in names:
        path = _PATH_SESSION.sub("", path)
    path = _PATH_PARAMETER.sub(lambda found: "" if f";{found[1].lower()}" in names else found[0], path)
    named = "=" in query or "?" not in names
    kept = "&".join(part for part in query.split("&") if named and part.partition("=")[0].lower() not in names)
    return canonical_url(f"{path}?{kept}")


class Login(NamedTuple):
    """An address without its user name and password, which are kept beside it."""

    url: str
    user: str = ""
    password: str = ""

    @property
    def auth(self) -> dict[str, str]:
        """Return the keys of a feed's `auth`; empty without credentials."""
        return {"user": self.user, "password": self.password} if self.user or self.password else {}


def pasted_urls(text: str) -> tuple[str, ...]:
    """Return the web addresses that a pasted text may mean, the likeliest first.

    `feed:`, `feed://`, `pcast://` and the like, and no scheme at all, mean https, or else http (the other way round for
    addresses and names without a dot). Blanks around are dropped, blanks inside encoded. What is no web address by any
    reading comes back as it is.
    """
    bare = text.strip()
    if found := _WRAPPED.fullmatch(bare):
        bare = "".join(filter(None, found.groups())).strip()
    url = _UNSEEN.sub("", bare).replace(" ", "%20").replace("\xa0", "%20")
    scheme, rest = "", url
    while found := _PASTED_SCHEME.match(rest):
        scheme, rest = found[1].lower(), rest[found.end() :]
    if scheme in ("http", "https"):
        return (f"{scheme}://{rest}",)
    rest = rest.removeprefix("//")
    if _NOT_WEB.match(rest) or not (place := _PLACE.match(rest)):
        return (bare,)
    host = place[1].lower()
    private = host.startswith("[") or "." not in host or host.replace(".", "").isdecimal()
    return tuple(f"{scheme}://{rest}" for scheme in (("http", "https") if private else ("https", "http")))


def login_in(url: str) -> Login:
    """Split an address from the `user:password@` in it, which is decoded."""
    found = _USERINFO.match(url)
    if not found:
        return Login(url)
    user, _, password = found[2].partition(":")
    return Login(found[1] + url[found.end() :], unquote(user), unquote(password))


def with_login(url: str, login: Login) -> str:
    """Add the name and password of another address of the same host; otherwise leave the address as it is."""
    if not login.auth or urlsplit(url).netloc != urlsplit(login.url).netloc:
        return url
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{quote(login.user, safe='')}:{quote(login.password, safe='')}@{rest}"


def _kept(query: str) -> str:
    """Return a query in order, without what tracks its reader."""
    return "&".join(sorted([p for p in query.split("&") if p and not _tracks(p)]))


def _tracks(parameter: str) -> bool:
    name = parameter.partition("=")[0].lower()
    return name in TRACKING or name.startswith(TRACKING_PREFIXES)


def _escapes(text: str) -> str:
    return _ESCAPE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    byte = unquote_to_bytes(found[0])
    return byte.decode() if _UNRESERVED.fullmatch(byte) else found[0].upper()


def title_key(title: str) -> str:
    """Return a title for comparison: its folded words, so that case, marks and punctuation do not count."""
    from aggregator.core.text.tokens import words  # who only takes addresses apart does without its patterns

    return " ".join(words(title))
