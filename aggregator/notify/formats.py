"""Formats of services: the renderer, the limits and how they are counted, and the place of the title.

Apprise gets text that it need not convert, and a title only if the service has a place for one: plugins
treat titles differently, and none of them makes untrusted words literal.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aggregator.core.settings import Channel
from aggregator.notify.acceptance import OWN_PEERS
from aggregator.notify.render import AlertContent, chat, mail, template, text
from aggregator.notify.render.sanitize import cut

DIALECTS = {
    "slack": chat.SLACK,
    "discord": chat.DISCORD,
    "guilded": chat.DISCORD,
    "gchat": chat.GOOGLE_CHAT,
    "tgram": chat.TELEGRAM,
    "matrix": chat.MATRIX,
    "matrixs": chat.MATRIX,
}
BODY_FORMAT = {
    "slack": "markdown",
    "discord": "markdown",
    "guilded": "markdown",
    "gchat": "markdown",
    "matrix": "html",
    "matrixs": "html",
}
# Their markdown is one of their own, into which Apprise would convert: they get plain words.
OWN_MARKDOWN = frozenset({"cliq", "evolution", "evolutions", "kook", "whapi"})
SHORT = 640  # a service that takes no more than this gets the short form
# Phones and pagers: what they show is plain text, whatever is in it.
PUSH = frozenset(
    {
        *("ntfy", "ntfys", "gotify", "gotifys", "pover", "join", "prowl", "bark", "barks", "lametric", "pbul", "fcm"),
        *("push", "psafer", "pushy", "trigv", "pagerduty", "octopush", "cm", "smseagle", "smseagles", "smstunnel"),
        *("smstunnels", "telesign", "sns", "twilio", "whatsapp", "gorush", "gorushs", "onesignal"),
    }
)
PUSH_CHARS = 900
# What opens the article when the message is tapped: the plugin's attribute.
LINK_FIELD = {"ntfy": "click", "ntfys": "click", "pover": "supplemental_url"}
# Mails that a service sends for us: the title is the subject.
MAIL_HTML = 20_000  # a service that takes more HTML than this takes mails
# Those that count characters (here: UTF-16 units, which are never fewer); all others count bytes, or may.
COUNT_CHARACTERS = frozenset(
    {
        *("slack", "discord", "guilded", "mmost", "mmosts", "rocket", "rockets", "zulip", "revolt", "fluxer"),
        *("nctalk", "nctalks", "twist", "ryver", "gchat", "line", "viber", "whapi", "kook", "zalo"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedMessage:
    """A message for Apprise: `body` is written in `format` already."""

    title: str
    body: str
    format: str
    exact: bool = False  # final as it is: Apprise must not convert it again
    html: str | None = None


def compose(content: AlertContent, channel: Channel, schema: str, service: Any) -> tuple[RenderedMessage, ...]:
    """Compose the messages for one service, each within its limits; several if one cannot hold everything."""
    limit = int(getattr(service, "body_maxlen", 0) or 32_768)
    titled = int(getattr(service, "title_maxlen", 250)) > 0
    title = cut(subject(content), min(int(getattr(service, "title_maxlen", 0)) or 250, 250)) if titled else ""
    if schema in ("mailto", "mailtos"):
        return (_mail(content, channel, title),)
    plain = schema in PUSH or schema in OWN_PEERS or _takes_mails(service, limit)
    if not plain:
        title = cut(chat.neutral(title), max(len(title), 1))
    if channel.template:
        kind = "html" if channel.template.endswith((".html", ".htm")) else "text"
        body = cut(template.render(channel.template, content, str if plain else chat.neutral), limit)
        return (RenderedMessage(title="" if schema in DIALECTS else title, body=body, format=kind),)
    if schema in DIALECTS:
        bodies = chat.render(content, DIALECTS[schema], min(limit, 30_000), title=True, measure=_measure(schema))
        kind = BODY_FORMAT.get(schema, "html")
        return tuple(RenderedMessage(title="", body=body, format=kind, exact=True) for body in bodies)
    if schema in PUSH or limit <= SHORT:
        return (_short(content, schema, service, title, min(limit, PUSH_CHARS)),)
    return _general(content, channel, schema, service, title, limit)


def subject(content: AlertContent) -> str:
    """Write the subject line, with the most important part first."""
    return ("[possible repeat] " if content.repeat else "") + content.subject


def link_of(content: AlertContent) -> str | None:
    """Return where a tap on the message leads."""
    return next((piece.link for piece in content.pieces if piece.link), content.page)


def _mail(content: AlertContent, channel: Channel, title: str) -> RenderedMessage:
    if channel.template:
        kind = "html" if channel.template.endswith((".html", ".htm")) else "text"
        return RenderedMessage(title=title, body=template.render(channel.template, content), format=kind)
    html = None if channel.format == "text" else mail.render(content)
    return RenderedMessage(title=title, body=text.render(content), format="text", html=html)


def _short(content: AlertContent, schema: str, service: Any, title: str, limit: int) -> RenderedMessage:
    plain = schema in PUSH
    body = text.short(
        content,
        limit,
        title=bool(title),
        words=str if plain else chat.neutral,
        link=str if plain else chat.bare_url,
        linked=schema not in LINK_FIELD or bool(getattr(service, LINK_FIELD[schema], None)),
    )
    return RenderedMessage(title=title, body=body or title, format=_formats(service)[0], exact=True)


def _general(
    content: AlertContent, channel: Channel, schema: str, service: Any, title: str, limit: int
) -> tuple[RenderedMessage, ...]:
    """Format for a service without a dialect of its own: what the channel asks for, else what it likes best."""
    known = _formats(service)
    wanted = channel.format if channel.format in known else known[0]
    if wanted == "html" and _takes_mails(service, limit):
        return (RenderedMessage(title=title, body=mail.render(content), format="html", exact=True),)
    if wanted == "text" and schema in OWN_PEERS:
        return (RenderedMessage(title=title, body=text.render(content), format="text", exact=True),)
    dialects: Mapping[str, chat.ChatMarkup] = {"markdown": chat.MARKDOWN, "html": chat.MATRIX}
    dialect = chat.PLAIN if schema in OWN_MARKDOWN else dialects.get(wanted, chat.PLAIN)
    room = min(limit, 30_000) - (len(title.encode()) + 8 if title else 0)
    bodies = chat.render(content, dialect, room, title=not title, measure=_measure(schema))
    return tuple(RenderedMessage(title=title, body=body, format=wanted, exact=True) for body in bodies)


def _takes_mails(service: Any, limit: int) -> bool:
    return limit > MAIL_HTML and _formats(service)[0] == "html"


def _formats(service: Any) -> list[str]:
    return [str(getattr(known, "value", known)) for known in service._formats()]


def _measure(schema: str) -> Callable[[str], int]:
    """Return how a service counts the length of a message."""
    if schema == "tgram":
        return chat.visible_utf16
    return chat.utf16 if schema in COUNT_CHARACTERS else chat.utf8
