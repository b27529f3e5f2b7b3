"""Markup of chats. A dialect says how to write a link, a mark and a stranger's words; the rest is shared.

Strangers' words can neither mention anybody, nor be markup, nor be a link that says one thing and
leads to another: links always show the host that they lead to.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from aggregator.notify.render.content import AlertContent, StoryItem
from aggregator.notify.render.sanitize import TextRuns, cut, plain, shorten
from aggregator.notify.render.text import counts

# An invisible sign behind @ keeps @everyone, @here and @room from being a mention anywhere.
NO_MENTION = "@\u2060"
_LOOKALIKES = str.maketrans({"*": "∗", "_": "＿", "~": "∼", "`": "ˋ", "|": "ǀ"})
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~:&])")
_DISCORD = re.compile(r"([\\`*_{}\[\]()<>#+\-|~:])")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMarkup:
    """How one family of services writes things. `words` makes a stranger's text literal."""

    words: Callable[[str], str]
    bold: Callable[[str], str]
    quote: Callable[[str], str]
    link: Callable[[str, str], str]
    newline: str = "\n"


def _at(text: str) -> str:
    return text.replace("@", NO_MENTION)


def _slack_words(text: str) -> str:
    # mrkdwn has no escape but for &, < and >: look-alikes stand for its other signs.
    return escape(_at(text).translate(_LOOKALIKES), quote=False)


def _slack_url(url: str) -> str:
    return url.replace("&", "&amp;").replace("|", "%7C").replace("<", "%3C").replace(">", "%3E")


def _html_words(text: str) -> str:
    return escape(_at(text))


def _html_link(url: str, host: str) -> str:
    return f'<a href="{escape(url)}">{escape(host)}</a>'


def _markdown_url(url: str) -> str:
    return url.replace("(", "%28").replace(")", "%29").replace("\\", "%5C")


SLACK = ChatMarkup(
    words=_slack_words,
    bold=lambda text: f"*{text}*",
    quote=lambda text: f"> {text}",
    link=lambda url, host: f"<{_slack_url(url)}|{host}>",
)
DISCORD = ChatMarkup(
    words=lambda text: _DISCORD.sub(r"\\\1", _at(text)),
    bold=lambda text: f"**{text}**",
    quote=lambda text: f"> {text}",
    link=lambda url, _host: f"<{url}>",
)
MARKDOWN = ChatMarkup(
    words=lambda text: _MARKDOWN.sub(r"\\\1", _at(text)),
    bold=lambda text: f"**{text}**",
    quote=lambda text: f"> {text}",
    link=lambda url, host: f"[{host}]({_markdown_url(url)})",
    newline="  \n",
)
TELEGRAM = ChatMarkup(
    words=_html_words,
    bold=lambda text: f"<b>{text}</b>",
    quote=lambda text: f"<blockquote>{text}</blockquote>",
    link=_html_link,
)
MATRIX = ChatMarkup(
    words=_html_words,
    bold=lambda text: f"<strong>{text}</strong>",
    quote=lambda text: f"<blockquote>{text}</blockquote>",
    link=_html_link,
    newline="<br/>",
)


def render(content: AlertContent, dialect: ChatMarkup, length: int, *, title: bool) -> str:
    """The alert in at most `length` code points; whole stories are left out, markup is never cut.

    `title`: begin with the subject, for services that have no title of their own.
    """
    for generous in (400, 200, 100, 0):
        parts = [_opening(content, dialect, title=title)] if _opening(content, dialect, title=title) else []
        closing = _closing(content, dialect, content.more)
        used = len(closing) + sum(len(part) + 2 for part in parts)
        shown = 0
        for heading, piece in _pieces(content):
            block = _piece(content, piece, dialect, generous, heading, title=title)
            if used + len(block) + 24 > length:
                break
            parts.append(block)
            used += len(block) + 2 * len(dialect.newline)
            shown += 1
        if shown or not content.pieces:
            break
    if content.body:
        fixture = max(0, (length - used) // 2)
        parts.append(dialect.words(cut(content.body, fixture)).replace("\n", dialect.newline))
    left = sum(piece.hits for piece in content.pieces[shown:])
    parts.append(_closing(content, dialect, content.more + left))
    text = (dialect.newline * 2).join(parts)
    return text if len(text) <= length else dialect.words(cut(content.subject, length // 8))


def _alone(content: AlertContent) -> bool:
    """Is the headline of the one story the subject as well?"""
    return not content.is_digest and len(content.pieces) == 1


def _pieces(content: AlertContent) -> list[tuple[str, StoryItem]]:
    return [
        (f"{group.rule} ({group.hits})" if i == 0 else "", piece)
        for group in content.groups
        for i, piece in enumerate(group.pieces)
    ]


def _opening(content: AlertContent, dialect: ChatMarkup, *, title: bool) -> str:
    lines = [
        dialect.bold(dialect.words(cut(content.subject, 200))) if title and not _alone(content) else "",
        dialect.words("[possible repeat]") if content.repeat else "",
        dialect.words(content.why) if content.why else "",
        dialect.words(counts(content)) if content.is_digest and content.pieces else "",
    ]
    return dialect.newline.join(line for line in lines if line)


def _piece(
    content: AlertContent, piece: StoryItem, dialect: ChatMarkup, generous: int, heading: str, *, title: bool
) -> str:
    others = dialect.words(f" (+{piece.others} more on this)") if piece.others else ""
    rules = "" if content.is_digest else " · " + ", ".join(piece.rules)
    headline = _runs(piece.title, dialect) + others
    if _alone(content):  # where the service has a title of its own, it has said this already
        headline = dialect.bold(dialect.words(plain(piece.title))) if title else ""
    lines = [
        dialect.bold(dialect.words(heading)) if heading and content.is_digest else "",
        headline,
        dialect.words(f"{piece.feed} · {piece.when}{rules}"),
        dialect.quote(_runs(shorten(piece.sentence, generous), dialect)) if piece.sentence and generous else "",
        dialect.link(piece.link, piece.host) if piece.link else "",
        dialect.words(f"also in {piece.also}") if piece.also else "",
    ]
    return dialect.newline.join(line for line in lines if line)


def _closing(content: AlertContent, dialect: ChatMarkup, more: int) -> str:
    rest = dialect.words(f"… and {more} more") + dialect.newline if more else ""
    page = " " + dialect.link(content.page, "open in aggregator") if content.page else ""
    return f"{rest}{dialect.words(f'[{content.short_id}]')}{page}"


def _runs(runs: TextRuns, dialect: ChatMarkup) -> str:
    return "".join(dialect.bold(dialect.words(run.text)) if run.marked else dialect.words(run.text) for run in runs)


__all__ = ["DISCORD", "MARKDOWN", "MATRIX", "SLACK", "TELEGRAM", "ChatMarkup", "render"]
