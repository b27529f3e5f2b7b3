"""Answers without a document: named by their status and headers, in words that help."""

from urllib.parse import urlsplit

from aggregator.core.errors import BadStatus
from aggregator.core.text.prolog import is_feed
from aggregator.fetch.http_headers import hints
from aggregator.fetch.transport import Response

FINAL = frozenset({400, 401, 403, 404, 405, 406, 410, 451})
LOGIN = frozenset(
    {
        "login",
        "signin",
        "sign-in",
        "sign_in",
        "log-in",
        "logon",
        "sso",
        "wp-login.php",
        "auth",
        "oauth",
        "account",
        "captcha",
    }
)
REMEDIES = {
    400: "check the address",
    401: "login required: set `auth` for this feed",
    402: "payment required",
    403: "blocked by the site; another user_agent or `auth` may help",
    404: "check the address",
    406: "the site offers no feed in an accepted format here",
    410: "the feed was permanently removed",
    429: "too many requests; polling continues later",
    451: "unavailable for legal reasons",
}


def bad_status(response: Response) -> BadStatus:
    """Build the error for an answer whose status carries no document."""
    host = urlsplit(response.url).hostname or response.url
    found = challenge(response)
    status = response.status
    if found:
        message = f"{host}: {found} instead of the feed (HTTP {status})"
    else:
        remedy = REMEDIES.get(status)
        message = f"{host}: HTTP {status} {_phrase(response)}".rstrip() + (f"; {remedy}" if remedy else "")
    return BadStatus(
        message,
        status=status,
        found="challenge" if found else "",
        url=response.url,
        transient=status not in FINAL,
        retry_after_s=hints(response).retry_after_s,
        hops=response.hops,
    )


def challenge(response: Response) -> str | None:
    """Return whose "are you human?" page this is, as far as headers tell; None: nobody's."""
    cookies = response.headers.getall("Set-Cookie", [])
    if response.header("cf-mitigated").lower() == "challenge":
        return "a Cloudflare challenge"
    if response.header("x-datadome") or any(cookie.startswith("datadome=") for cookie in cookies):
        return "a DataDome challenge" if response.status in (401, 403, 405, 429) else None
    if response.header("x-amzn-waf-action").lower() in ("challenge", "captcha"):
        return "an AWS challenge"
    if response.status == 403 and response.header("server").lower() == "cloudflare" and _is_html(response):
        return "a Cloudflare block page"
    return None


def login_page(response: Response) -> BadStatus | None:
    """Return the error if redirects led to a login page; None: they did not, or to a feed after all."""
    if not response.hops or not _is_html(response):
        return None
    if is_feed(response.body) or response.body.lstrip()[:1] == b"{":
        return None
    parts = urlsplit(response.url)
    if LOGIN.isdisjoint(parts.path.lower().strip("/").split("/")):
        return None
    return BadStatus(
        f"{urlsplit(response.hops[0][1]).hostname}: redirects to a login page at {parts.hostname}",
        status=response.hops[-1][0],
        found="login page",
        url=response.url,
        hops=response.hops,
    )


def _is_html(response: Response) -> bool:
    return response.header("Content-Type").lower().startswith(("text/html", "application/xhtml"))


def _phrase(response: Response) -> str:
    """Return the standard's words for a status; a server's own only if it has none."""
    from http import HTTPStatus

    try:
        return HTTPStatus(response.status).phrase
    except ValueError:
        return "".join(char for char in response.reason[:40] if char.isprintable())
