"""Markup of chats. A dialect says how to write a link, a mark and a stranger's words; the rest is shared.

Strangers' words can neither mention anybody, nor be markup, nor be a link that says one thing and
leads to another: links always show the host that they lead to.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from aggregator.notify.render.content import Letter, Piece
from aggregator.notify.render.sanitize import Runs, cut, plain, shorten
from aggregator.notify.render.text import counts

# An invisible sign behind @ keeps @everyone, @here and @room from being a mention anywhere.
NO_MENTION = "@\u2060"
_LOOKALIKES = str.maketrans({"*": "∗", "_": "＿", "~": "∼", "`": "ˋ", "|": "ǀ"})
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~:&])")
_DISCORD = re.compile(r"([\\`*_{}\[\]()<>#+\-|~:])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
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


SLACK = Dialect(
    words=_slack_words,
    bold=lambda text: f"*{text}*",
    quote=lambda text: f"> {text}",
    link=lambda url, host: f"<{_slack_url(url)}|{host}>",
)
DISCORD = Dialect(
    words=lambda text: _DISCORD.sub(r"\\\1", _at(text)),
    bold=lambda text: f"**{text}**",
    quote=lambda text: f"> {text}",
    link=lambda url, _host: f"<{url}>",
)
MARKDOWN = Dialect(
    words=lambda text: _MARKDOWN.sub(r"\\\1", _at(text)),
    bold=lambda text: f"**{text}**",
    quote=lambda text: f"> {text}",
    link=lambda url, host: f"[{host}]({_markdown_url(url)})",
    newline="  \n",
)
TELEGRAM = Dialect(
    words=_html_words,
    bold=lambda text: f"<b>{text}</b>",
    quote=lambda text: f"<blockquote>{text}</blockquote>",
    link=_html_link,
)
MATRIX = Dialect(
    words=_html_words,
    bold=lambda text: f"<strong>{text}</strong>",
    quote=lambda text: f"<blockquote>{text}</blockquote>",
    link=_html_link,
    newline="<br/>",
)


def render(letter: Letter, dialect: Dialect, length: int, *, title: bool) -> str:
    """The letter in at most `length` code points; whole stories are left out, markup is never cut.

    `title`: begin with the subject, for services that have no title of their own.
    """
    for generous in (400, 200, 100, 0):
        parts = [_opening(letter, dialect, title=title)] if _opening(letter, dialect, title=title) else []
        closing = _closing(letter, dialect, letter.more)
        used = len(closing) + sum(len(part) + 2 for part in parts)
        shown = 0
        for heading, piece in _pieces(letter):
            block = _piece(letter, piece, dialect, generous, heading, title=title)
            if used + len(block) + 24 > length:
                break
            parts.append(block)
            used += len(block) + 2 * len(dialect.newline)
            shown += 1
        if shown or not letter.pieces:
            break
    if letter.body:
        room = max(0, (length - used) // 2)
        parts.append(dialect.words(cut(letter.body, room)).replace("\n", dialect.newline))
    left = sum(piece.hits for piece in letter.pieces[shown:])
    parts.append(_closing(letter, dialect, letter.more + left))
    text = (dialect.newline * 2).join(parts)
    return text if len(text) <= length else dialect.words(cut(letter.subject, length // 8))


def _alone(letter: Letter) -> bool:
    """Is the headline of the one story the subject as well?"""
    return not letter.is_digest and len(letter.pieces) == 1


def _pieces(letter: Letter) -> list[tuple[str, Piece]]:
    return [
        (f"{group.rule} ({group.hits})" if i == 0 else "", piece)
        for group in letter.groups
        for i, piece in enumerate(group.pieces)
    ]


def _opening(letter: Letter, dialect: Dialect, *, title: bool) -> str:
    lines = [
        dialect.bold(dialect.words(cut(letter.subject, 200))) if title and not _alone(letter) else "",
        dialect.words("[possible repeat]") if letter.repeat else "",
        dialect.words(letter.why) if letter.why else "",
        dialect.words(counts(letter)) if letter.is_digest and letter.pieces else "",
    ]
    return dialect.newline.join(line for line in lines if line)


def _piece(letter: Letter, piece: Piece, dialect: Dialect, generous: int, heading: str, *, title: bool) -> str:
    others = dialect.words(f" (+{piece.others} more on this)") if piece.others else ""
    rules = "" if letter.is_digest else " · " + ", ".join(piece.rules)
    headline = _runs(piece.title, dialect) + others
    if _alone(letter):  # where the service has a title of its own, it has said this already
        headline = dialect.bold(dialect.words(plain(piece.title))) if title else ""
    lines = [
        dialect.bold(dialect.words(heading)) if heading and letter.is_digest else "",
        headline,
        dialect.words(f"{piece.feed} · {piece.when}{rules}"),
        dialect.quote(_runs(shorten(piece.sentence, generous), dialect)) if piece.sentence and generous else "",
        dialect.link(piece.link, piece.host) if piece.link else "",
        dialect.words(f"also in {piece.also}") if piece.also else "",
    ]
    return dialect.newline.join(line for line in lines if line)


def _closing(letter: Letter, dialect: Dialect, more: int) -> str:
    rest = dialect.words(f"… and {more} more") + dialect.newline if more else ""
    page = " " + dialect.link(letter.page, "open in aggregator") if letter.page else ""
    return f"{rest}{dialect.words(f'[{letter.short_id}]')}{page}"


def _runs(runs: Runs, dialect: Dialect) -> str:
    return "".join(dialect.bold(dialect.words(run.text)) if run.marked else dialect.words(run.text) for run in runs)


__all__ = ["DISCORD", "MARKDOWN", "MATRIX", "SLACK", "TELEGRAM", "Dialect", "render"]
