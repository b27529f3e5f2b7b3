"""Which words go to which service: the renderer, the limits, and where the title goes."""

from dataclasses import dataclass
from typing import Any

from aggregator.core.settings import Channel
from aggregator.notify.render import AlertContent, chat, mail, template, text
from aggregator.notify.render.sanitize import cut

DIALECTS = {
    "slack": chat.SLACK,
    "discord": chat.DISCORD,
    "guilded": chat.DISCORD,
    "tgram": chat.TELEGRAM,
    "matrix": chat.MATRIX,
    "matrixs": chat.MATRIX,
}
BODY_FORMAT = {"slack": "markdown", "discord": "markdown", "guilded": "markdown", "matrix": "html", "matrixs": "html"}
SHORT = 1200  # a service that takes no more than this gets the short form
PUSH = frozenset({"ntfy", "ntfys", "gotify", "gotifys", "pover", "join", "prowl", "bark", "barks", "lametric", "pbul"})
PUSH_CHARS = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedMessage:
    """What Apprise is given: `body` is written in `format` already."""

    title: str
    body: str
    format: str
    exact: bool = False  # the service's own dialect: Apprise must not convert it again
    html: str | None = None


def compose(content: AlertContent, channel: Channel, schema: str, service: Any) -> RenderedMessage:
    """The message for one service, within its limits."""
    limit = int(getattr(service, "body_maxlen", 0) or 32_768)
    titled = int(getattr(service, "title_maxlen", 250)) > 0
    title = cut(subject(content), min(int(getattr(service, "title_maxlen", 0)) or 250, 250))
    if channel.template:
        kind = "html" if channel.template.endswith((".html", ".htm")) else "text"
        return RenderedMessage(title=title, body=cut(template.render(channel.template, content), limit), format=kind)
    if schema in ("mailto", "mailtos"):
        html = None if channel.format == "text" else mail.render(content)
        return RenderedMessage(title=title, body=text.render(content), format="text", html=html)
    if schema in DIALECTS:
        body = chat.render(content, DIALECTS[schema], min(limit, 30_000), title=not titled)
        kind = BODY_FORMAT.get(schema, "html")
        return RenderedMessage(title=title if titled else "", body=body, format=kind, exact=True)
    if schema in PUSH or limit <= SHORT:
        body = text.short(content, min(limit - (0 if titled else len(title) + 2), PUSH_CHARS))
        return RenderedMessage(title=title, body=body, format="text")
    return _general(content, channel, service, title, limit, titled=titled)


def subject(content: AlertContent) -> str:
    """The subject line, with what must be seen first."""
    return ("[possible repeat] " if content.repeat else "") + content.subject


def _general(
    content: AlertContent, channel: Channel, service: Any, title: str, limit: int, *, titled: bool
) -> RenderedMessage:
    """A service without a dialect of its own: what the channel asks for, else what it likes best."""
    known = [str(getattr(f, "value", f)) for f in service._formats()]
    wanted = channel.format if channel.format in known else known[0]
    fixture = limit - (0 if titled else len(title) + 2)
    if wanted == "markdown":
        return RenderedMessage(
            title=title, body=chat.render(content, chat.MARKDOWN, fixture, title=False), format="markdown"
        )
    if wanted == "html" and limit > 20_000:
        return RenderedMessage(title=title, body=mail.render(content), format="html")
    if wanted == "html":
        return RenderedMessage(title=title, body=chat.render(content, chat.MATRIX, fixture, title=False), format="html")
    return RenderedMessage(title=title, body=cut(text.render(content), fixture), format="text")
