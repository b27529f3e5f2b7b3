"""Secrets of channels, to be redacted in every text that leaves notify/."""

from base64 import b64encode
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import SecretStr

from aggregator.core.redaction import MIN_SECRET_CHARS
from aggregator.core.settings import Channel

_PUBLIC_FIELDS = frozenset(
    {"host", "port", "to", "cc", "bcc", "reply", "targets", "from", "name", "smtp", "mode", "format", "user", "topic"}
)


def secrets_of(channel: Channel) -> tuple[str, ...]:
    """Return every string of a channel that may be a secret, longest first."""
    found = {secret.get_secret_value() for secret in channel.url}
    for url in list(found):
        found.update(_parts(url))
    for name, value in channel.fields.items():
        if name not in _PUBLIC_FIELDS or isinstance(value, SecretStr):
            found.update(_strings(value))
    found |= _basic(channel)
    return tuple(sorted((s for s in found if len(s) >= MIN_SECRET_CHARS), key=len, reverse=True))


def _basic(channel: Channel) -> set[str]:
    """Return users with their passwords as Basic authentication and a mail server's PLAIN write them."""
    logins = [(channel.fields.get("user"), channel.fields.get("password"))]
    for secret in channel.url:
        with suppress(ValueError):
            parts = urlsplit(secret.get_secret_value())
            logins.append((unquote(parts.username or ""), unquote(parts.password or "")))
    texts = [(_text(user), _text(password)) for user, password in logins if password]
    plain = {login for user, word in texts for login in (f"{user}:{word}", f"\0{user}\0{word}", word)}
    return {b64encode(text.encode(charset, "replace")).decode() for text in plain for charset in ("utf-8", "latin-1")}


def _text(value: Any) -> str:
    return str(value.get_secret_value() if isinstance(value, SecretStr) else value or "")


def _parts(url: str) -> set[str]:
    """Yield password and tokens in the path and in the query of an Apprise URL; not its host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return {url}
    is_mail = parts.scheme.startswith("mailto")
    pieces = {parts.password or ""} | ({parts.username or ""} if not is_mail else set())
    if not is_mail:
        pieces.update(parts.path.split("/"))
        if parts.scheme not in ("http", "https", "json", "jsons", "ntfy", "ntfys", "matrix", "matrixs"):
            pieces.add(parts.netloc.rpartition("@")[2])
    pieces.update(value for name, value in parse_qsl(parts.query) if name not in _PUBLIC_FIELDS)
    return pieces | {unquote(piece) for piece in pieces}


def _strings(value: Any) -> set[str]:
    if isinstance(value, SecretStr):
        return {value.get_secret_value()}
    if isinstance(value, dict):
        return {text for inner in value.values() for text in _strings(inner)}
    if isinstance(value, (list, tuple)):
        return {text for inner in value for text in _strings(inner)}
    return {value} if isinstance(value, str) else set()
