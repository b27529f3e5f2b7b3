"""Detection of what was sent in place of a feed: a page, a login, a challenge, nothing."""

import re

from aggregator.core.text.prolog import prolog
from aggregator.parse.payload import Rejected

_LOOK_AT = 65536
_FEED_ROOT = re.compile(rb"<(?:[\w.-]+:)?(?:rss|feed|rdf|channel)[\s>/]", re.IGNORECASE)
_WHOLE_ROOT = re.compile(rb"<((?:[\w.-]+:)?(?:rss|feed|RDF))\s[^<>]{0,4000}?\b(?:version|xmlns(?::\w+)?)\s*=")
_ENTRY = re.compile(rb"<(?:[\w.-]+:)?(?:item|entry)[\s>]")
_OTHER_ROOT = re.compile(rb"<(?:opml|urlset|sitemapindex|svg)[\s>]", re.IGNORECASE)
_OTHER_KINDS = {
    "opml": "a list of feeds (OPML), not a feed; add what it lists with `aggregator feeds import FILE`",
    "urlset": "a sitemap, not a feed; to read it, set `kind: sitemap`",
    "sitemapindex": "an index of sitemaps, not a feed; to read it, set `kind: sitemap`",
    "svg": "an image, not a feed",
}
_HTML = re.compile(rb"<!doctype\s+html|<html[\s>]|<head[\s>]|<body[\s>]", re.IGNORECASE)
_ROOT = re.compile(rb"<([A-Za-z][\w.:-]*)")
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
_PASSWORD = re.compile(rb"<input[^>]{1,300}type\s*=\s*[\"']?password", re.IGNORECASE)
_LOGIN = re.compile(
    rb"\b(?:log ?in|sign ?in|log ?on|anmelden|anmeldung|connexion|acceso|iniciar sesi|logg inn|logga in|log ind"
    rb"|inloggen|zaloguj|accedi)\b|\xd0\xb2\xd1\x85\xd0\xbe\xd0\xb4",
    re.IGNORECASE,
)
_PORTAL = re.compile(
    rb"captive[ -]?portal|WISPAccessGatewayParam|hotspot ?login|wi-?fi login|network login", re.IGNORECASE
)

_CHALLENGES = (
    (
        "Cloudflare",
        rb"_cf_chl_opt|cdn-cgi/challenge-platform|cf-browser-verification|Attention Required! \| Cloudflare",
    ),
    ("Cloudflare", rb"<title>Just a moment\.\.\.</title>"),
    ("DataDome", rb"captcha-delivery\.com|geo\.captcha-delivery|datadome"),
    ("Akamai", rb"errors\.edgesuite\.net|_abck|akam/\d+/"),
    ("Imperva", rb"_Incapsula_Resource|Incapsula incident"),
    ("PerimeterX", rb"px-captcha|perimeterx"),
    ("AWS WAF", rb"awswaf\.com|AwsWafIntegration"),
    ("Sucuri", rb"sucuri_cloudproxy|Sucuri WebSite Firewall"),
    ("DDoS-Guard", rb"ddos-guard"),
    ("Anubis", rb"within\.website/x/cmd/anubis|anubis_challenge"),
    ("a captcha", rb"g-recaptcha|h-captcha|hcaptcha\.com"),
)
_CHALLENGED_BY = tuple((who, re.compile(marks, re.IGNORECASE)) for who, marks in _CHALLENGES)
_BINARY = {
    b"%PDF": "a PDF file",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"GIF8": "an image",
    b"PK\x03\x04": "a ZIP archive",
    b"\x7fELF": "an executable",
    b"ID3": "an audio file",
    b"OggS": "an audio file",
}


def check_kind(body: bytes) -> None:
    """Raise Rejected for what is empty or of another kind, by its first bytes, in whatever charset."""
    start = body[:_LOOK_AT].lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0")
    if not start and len(body) < _LOOK_AT:
        raise Rejected("The document is empty.", "empty")
    for magic, kind in _BINARY.items():
        if body.startswith(magic) or start.startswith(magic):
            raise Rejected(f"This is {kind}, not a feed.", "binary", transient=False)


def feed_in(body: bytes) -> bytes:
    """Return the document, or the feed inside a page. Raises Rejected for a page without one; JSON passes.

    A page is recognised by its first elements: comments may say what they like.
    """
    page = None if _OTHER_ROOT.match(body, prolog(body).root) else _page_in(body)
    if page is None:
        return body
    if wrapped := _wrapped(body):
        return wrapped
    raise _page(page)


def _wrapped(body: bytes) -> bytes | None:
    """Return a whole feed with entries inside of something else."""
    start = _WHOLE_ROOT.search(body)
    end = body.rfind(b"</" + start[1] + b">") if start else -1
    if not start or end < 0 or not _ENTRY.search(body, start.end(), end):
        return None
    return body[start.start() : end] + b"</" + start[1] + b">"


def _page_in(body: bytes) -> bytes | None:
    """Return the beginning of a page that was sent in place of the feed, if one was."""
    found = prolog(body)
    rest = body[found.root : found.root + _LOOK_AT]
    if root := _FEED_ROOT.search(rest):
        return rest if _HTML.search(rest[: root.start()]) else None
    kind = body[slice(*found.doctype)][:1000] if found.doctype else b""
    return kind + rest if _HTML.search(kind + rest) else None


def reject(body: bytes, detail: str = "") -> Rejected:
    """Return the reason for a document that passed `check_kind` and in which no reader found a feed."""
    start = body[:_LOOK_AT]
    if b"\0" in start[:1000] and b"<\0" not in start[:1000] and b"\0<" not in start[:1000]:
        return Rejected("This is binary data, not a feed.", "binary")
    root = _ROOT.match(body, prolog(body).root)
    name = root[1].decode("ascii", "replace") if root else ""
    if other := _OTHER_KINDS.get(name.lower()):
        return Rejected(f"This is {other}.", "broken")
    if page := _page_in(body):
        return _page(page)
    if root:
        why = f": {detail}" if detail else ""
        return Rejected(f"This is XML, but not a feed (it begins with <{name}>){why}.", "broken")
    if len(_CONTROLS.findall(start[:1000])) > 20:
        return Rejected("This is binary data, not a feed.", "binary")
    return Rejected("This is plain text, not a feed.", "broken")


def refusal(body: bytes) -> Rejected | None:
    """Return what a page is in place of the wanted one: a challenge or a login page; None: neither."""
    page = body[:_LOOK_AT]
    for who, marks in _CHALLENGED_BY:
        if marks.search(page):
            return Rejected(f"The server asks for proof that the visitor is human ({who} challenge).", "challenge")
    if _PORTAL.search(page):
        return Rejected("A captive portal answered instead of the server: the network requires a login.", "login page")
    title = _TITLE.search(page)
    if _PASSWORD.search(page) or (title and _LOGIN.search(title[1])):
        return Rejected("The server sent a login page instead of the feed.", "login page")
    return None


def _page(page: bytes) -> Rejected:
    """Return which kind of page was sent in place of the feed."""
    if refused := refusal(page):
        return refused
    title = _TITLE.search(page)
    called = f' ("{" ".join(title[1].decode("utf-8", "replace").split())[:80]}")' if title else ""
    return Rejected(f"This is an HTML page{called} instead of a feed.", "html")
