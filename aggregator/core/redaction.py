"""Cut secrets out of texts before anybody reads them: logs, errors, pages, exports, outcomes of deliveries."""

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl, quote, quote_plus

HIDDEN = "***"
MIN_SECRET_CHARS = 4  # shorter ones occur in ordinary words
_LOGIN = re.compile(r"(?<=://)[^\s/@]+@")
_SECRET_NAME = re.compile(
    r"(?:.*(?:key|token|secret|pass(?:word|wd|phrase)|pwd|signature|credentials?)s?|(?:.*[_.-])?(?:pass|sig|auth|authorization))",
    re.IGNORECASE,
)
_PARAMETER = re.compile(r"(?<=[?&;])([\w.%+\[\]-]+)=([^\s&;#\"'<>]+)")
_TOKEN = re.compile(r"(?=[^/]*\d)(?=[^/]*[A-Za-z])[\w:.~-]{16,}")  # at least 16, among them a digit
_KEY = re.compile(r"(?=.*[A-Za-z])(?=.*\d)[!-~]{8,}")
_HEXADECIMAL = re.compile("%[0-9A-F]{2}")
_QUOTES = (("&quot;", "&#x27;"), ("&#34;", "&#39;"), ("&quot;", "&#39;"))  # in HTML
_HOST = re.compile(r"(?:[\w-]+\.)+[a-z]{2,}(?::\d+)?")
_HEADER = re.compile(r"\b(basic|bearer|token)\s+[\w+/=.~-]{8,}", re.IGNORECASE)


class Redactor:
    """Replace every known secret by `***`, also as an answer may quote it: percent-encoded, in JSON, in HTML.

    One value is shared by all who show texts of one configuration; a reload gives it the new secrets.
    """

    def __init__(self, secrets: Iterable[str] = (), *, min_chars: int = MIN_SECRET_CHARS) -> None:
        self._pattern: re.Pattern[str] | None = None
        self._min_chars = min_chars
        self.set_secrets(secrets)

    def set_secrets(self, secrets: Iterable[str]) -> None:
        """Forget the secrets known so far and cut out these."""
        spellings = {
            spelling for secret in secrets if len(secret) >= self._min_chars for spelling in _spellings(secret)
        }
        longest_first = sorted(spellings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if spellings else None

    def __call__(self, text: str) -> str:
        return self._pattern.sub(HIDDEN, text) if self._pattern else text


def _spellings(secret: str) -> Iterator[str]:
    yield secret
    if secret.isascii() and secret.isalnum():
        return  # which is the same everywhere
    percent = (quote(secret), quote(secret, safe=""), quote_plus(secret))
    yield from percent
    yield from (_HEXADECIMAL.sub(lambda code: code[0].lower(), text) for text in percent)
    yield repr(secret)[1:-1]
    for text in (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
        yield text
        yield text.replace("/", r"\/")
        yield text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")
    html = secret.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    yield from (html, html.replace('"', "&quot;"), *(html.replace('"', q).replace("'", a) for q, a in _QUOTES))


def hide_logins(text: str) -> str:
    """Replace the user and password of every URL."""
    return _LOGIN.sub(f"{HIDDEN}@", text)


def hide_url_secrets(text: str) -> str:
    """Replace the logins of all URLs, and the values of parameters that are called keys."""
    return _PARAMETER.sub(_without_value, hide_logins(text)) if "=" in text else hide_logins(text)


def _without_value(parameter: re.Match[str]) -> str:
    return f"{parameter[1]}={HIDDEN}" if _SECRET_NAME.fullmatch(parameter[1]) else parameter[0]


def hide_credentials(text: str) -> str:
    """Replace logins and keys in URLs, and the values of Authorization headers."""
    return _HEADER.sub(rf"\1 {HIDDEN}", hide_url_secrets(text))


def url_secrets(url: str, *, tokens: bool = False) -> Iterator[str]:
    """Yield the parts of a URL that are secrets: its password, parameters that are called so.

    `tokens`: also parts of host and path that only a machine would make up, as the addresses of services have them.
    In the address of a feed they are as a rule the public name of a topic.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return
    place, _, query = rest.partition("?")
    login, at, place = place.rpartition("@") if "@" in place else ("", "", place)
    user, _, password = login.partition(":")
    if at:
        yield password or (user if is_token(user) and not scheme.lower().startswith("http") else "")
    for name, value in parse_qsl(query):
        if _SECRET_NAME.fullmatch(name):
            yield value
    if tokens:
        yield from filter(is_token, place.split("/"))


def is_token(text: str) -> bool:
    """Tell whether only a machine would make this up."""
    return bool(_TOKEN.fullmatch(text)) and not _HOST.fullmatch(text)


def is_key(text: str) -> bool:
    """Tell whether a text is too odd to stand in a news report: words and numbers mixed, of eight signs or more."""
    return bool(_KEY.fullmatch(text))


def field_secrets(name: str, value: str) -> Iterator[str]:
    """Yield what is secret in a field of a service that stands in the file as it is: keys, and what looks like one."""
    if "://" in value:
        yield from url_secrets(value, tokens=True)
    elif _SECRET_NAME.fullmatch(name) or is_token(value):
        yield value
        scheme, _, rest = value.partition(" ")
        if scheme.lower() in ("basic", "bearer", "token"):
            yield rest
