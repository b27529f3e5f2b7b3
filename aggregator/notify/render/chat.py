"""Markup of chats. A dialect says how to write a link, a mark and untrusted words; the rest is shared.

Untrusted words can neither mention anybody, nor be markup, nor be a link that says one thing and
leads to another: links always show the host that they lead to. Services with a markup of their own have
a dialect; for all others there is `PLAIN`, whose words mean nothing in any markup that we know.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape, unescape

from aggregator.notify.render.content import AlertContent, StoryItem
from aggregator.notify.render.sanitize import TextRun, TextRuns, cut, plain, shorten
from aggregator.notify.render.text import counts

# An invisible sign behind @ keeps @everyone, @here and @room from being a mention anywhere.
NO_MENTION = "@\u2060"
_LOOKALIKES = str.maketrans({"*": "∗", "_": "＿", "~": "∼", "`": "ˋ", "|": "ǀ"})
_ALL_LOOKALIKES = {**_LOOKALIKES, **str.maketrans({"<": "‹", ">": "›", "#": "＃", "\\": "＼"})}
_DISCORD = re.compile(r"([\\`*_{}\[\]()<>#+\-|~:])")
# What makes a link, a mention, an entity or a list of words that stand anywhere, or at the beginning.
_INSIDE = (
    (re.compile(r"\](?=[(\[:])"), "］"),  # [pay](http://…), [pay][1], [1]: http://…
    (re.compile(r"\[(?=\^|\w+[:=])"), "［"),  # [^1], [at:all], [CQ:at,qq=all]
    (re.compile(r"\((?=(?:met|rol|chn|ins|spl|emj)\))", re.IGNORECASE), "（"),  # (met)all(met)
    (re.compile(r"&(?=#?\w+;)"), "＆"),
    (re.compile(r"\{(?=\{)"), "｛"),  # {{DATE(…)}} of cards
    (re.compile(r"^([-+=])(?=[\s\-+=]|$)"), "–"),
    (re.compile(r"^(\d{1,9})[.](?=\s|$)"), r"\1․"),
    (re.compile(r"^(\d{1,9})[)](?=\s|$)"), r"\1）"),
)
_SCHEME = re.compile(r":(?=/|$)")  # also where the mark of a term ends between them
_WWW = re.compile(r"\b(www)\.", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
MAX_PARTS = 10  # beyond it stories lose their sentences first
GENEROSITY = (400, 200, 100, 0)  # characters of the sentence that matched


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMarkup:
    """The dialect of one family of services. `words` makes untrusted text literal."""

    words: Callable[[str], str]
    bold: Callable[[str], str]
    quote: Callable[[str], str]
    link: Callable[[str, str], str]
    newline: str = "\n"


def utf16(text: str) -> int:
    """Return the length in UTF-16 code units, never less than in code points."""
    return len(text) + sum(sign > "\uffff" for sign in text)


def visible_utf16(html: str) -> int:
    """Return the length that Telegram counts: UTF-16 code units of the text without tags and entities."""
    return utf16(unescape(_TAG.sub("", html)))


def utf8(text: str) -> int:
    """Return the length in bytes of UTF-8."""
    return len(text.encode("utf-8", "replace"))


def _unlinked(text: str) -> str:
    """Break mentions, and addresses that would become links by themselves."""
    return _WWW.sub(r"\1․", _SCHEME.sub("∶", text)).replace("@", NO_MENTION)


def neutral(text: str) -> str:
    """Make untrusted text read as words by every service, whatever markup it knows."""
    text = text.translate(_ALL_LOOKALIKES)
    for pattern, harmless in _INSIDE:
        text = pattern.sub(harmless, text)
    return _unlinked(text)


def bare_url(url: str) -> str:
    """Write an address among words: it mentions nobody and marks nothing."""
    for sign, code in (("@", "%40"), ("*", "%2A"), ("~", "%7E"), ("|", "%7C"), ("'", "%27")):
        url = url.replace(sign, code)
    return url


def _slack_words(text: str) -> str:
    # mrkdwn has no escape but for &, < and >: look-alikes stand for its other signs.
    return escape(_unlinked(text).translate(_LOOKALIKES), quote=False)


def _slack_url(url: str) -> str:
    return url.replace("&", "&amp;").replace("|", "%7C").replace("<", "%3C").replace(">", "%3E")


def _html_words(text: str) -> str:
    return escape(_unlinked(text))


def _html_link(url: str, host: str) -> str:
    return f'<a href="{escape(url)}">{escape(host)}</a>'


def _markdown_url(url: str) -> str:
    return bare_url(url).replace("(", "%28").replace(")", "%29").replace("\\", "%5C")


SLACK = ChatMarkup(
    words=_slack_words,
    bold=lambda text: f"*{text}*",
    quote=lambda text: f"> {text}",
    link=lambda url, host: f"<{_slack_url(url)}|{host}>",
)
GOOGLE_CHAT = ChatMarkup(
    words=neutral,
    bold=lambda text: f"*{text}*",
    quote=lambda text: f"“{text}”",
    link=lambda url, host: f"<{bare_url(url)}|{host}>",
)
DISCORD = ChatMarkup(
    words=lambda text: _DISCORD.sub(r"\\\1", _unlinked(text)),
    bold=lambda text: f"**{text}**",
    quote=lambda text: f"> {text}",
    link=lambda url, _host: f"<{bare_url(url)}>",
)
MARKDOWN = ChatMarkup(
    words=neutral,
    bold=lambda text: f"**{text}**",
    quote=lambda text: f"> {text}",
    link=lambda url, host: f"[{host}]({_markdown_url(url)})",
    newline="  \n",
)
PLAIN = ChatMarkup(
    words=neutral,
    bold=lambda text: text,
    quote=lambda text: f"“{text}”",
    link=lambda url, _host: bare_url(url),
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


def render(
    content: AlertContent,
    dialect: ChatMarkup,
    length: int,
    *,
    title: bool,
    measure: Callable[[str], int] = len,
) -> tuple[str, ...]:
    """Render the alert in parts of at most `length` each, as `measure` counts; markup is never cut, no story left out.

    `title`: begin with the subject, for services that have no title of their own.
    """
    page = _Page(content, dialect, length, measure, title)
    parts: list[list[str]] = []
    for generous in GENEROSITY:
        parts = page.pack(generous)
        if len(parts) <= MAX_PARTS:
            break
    return tuple(page.finish(parts))


@dataclass(frozen=True, slots=True)
class _Page:
    """One alert on its way to one service."""

    content: AlertContent
    dialect: ChatMarkup
    length: int
    measure: Callable[[str], int]
    title: bool

    def pack(self, generous: int) -> list[list[str]]:
        """Return the blocks of each part: as many as fit beside what opens and closes it."""
        fixed = self.measure(self._counted(99, 99)) + self.measure(self._closing()) + 2 * self._gap
        parts: list[list[str]] = [[]]
        used = fixed
        for block in self._blocks(generous, self.length - fixed):
            size = self.measure(block) + self._gap
            if parts[-1] and used + size > self.length:
                parts.append([])
                used = fixed
            parts[-1].append(block)
            used += size
        return parts

    def finish(self, parts: Sequence[Sequence[str]]) -> Iterator[str]:
        """Return the text of each part: numbered if there are several; the last has what closes the alert."""
        for number, blocks in enumerate(parts, 1):
            counted = [self._counted(number, len(parts))] if len(parts) > 1 else []
            closing = [self._closing()] if number == len(parts) else []
            text = self._join([*counted, *blocks, *closing])
            if self.measure(text) <= self.length:
                yield text
            else:
                yield self._fit(self.content.subject, self.length)

    def _blocks(self, generous: int, room: int) -> Iterator[str]:
        if opening := _opening(self.content, self.dialect, title=self.title):
            yield opening if self.measure(opening) <= room else self._fit(self.content.subject, room)
        if self.content.body:
            yield from self._body(room)
        for heading, piece in _pieces(self.content):
            yield self._story(heading, piece, generous, room)

    def _story(self, heading: str, piece: StoryItem, generous: int, room: int) -> str:
        """Write one story, with as much of it as fits a part of its own: its link goes last."""
        for sentence in (size for size in GENEROSITY if size <= generous):
            block = _piece(self.content, piece, self.dialect, sentence, heading, title=self.title)
            if self.measure(block) <= room:
                return block
        link = self.dialect.link(piece.link, piece.host) if piece.link else ""
        left = room - self.measure(link) - self._gap
        if link and left >= min(40, room // 2):
            return f"{self._fit(plain(piece.title), left)}{self.dialect.newline}{link}"
        return self._fit(plain(piece.title), room)

    def _body(self, room: int) -> Iterator[str]:
        """Write the words of a notice, in as many blocks as they need."""
        block = ""
        for line in self.content.body.splitlines():
            words = self.dialect.words(line)
            if self.measure(words) > room:
                words = self._fit(line, room)
            joined = f"{block}{self.dialect.newline}{words}" if block else words
            if self.measure(joined) > room:
                yield block
                joined = words
            block = joined
        if block:
            yield block

    def _fit(self, text: str, room: int) -> str:
        """Shorten untrusted words until they fit when they are written."""
        size = min(len(text), max(room, 0))
        while size > 0 and self.measure(self.dialect.words(cut(text, size))) > room:
            size = size * 3 // 4
        return self.dialect.words(cut(text, size)) if size > 0 else ""

    def _closing(self) -> str:
        return _closing(self.content, self.dialect)

    def _counted(self, number: int, of: int) -> str:
        return self.dialect.words(f"({number}/{of})")

    @property
    def _gap(self) -> int:
        return self.measure(self.dialect.newline * 2)

    def _join(self, blocks: Sequence[str]) -> str:
        return (self.dialect.newline * 2).join(block for block in blocks if block)


def _alone(content: AlertContent) -> bool:
    """Tell whether the headline of the one story is the subject as well."""
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


def _closing(content: AlertContent, dialect: ChatMarkup) -> str:
    rest = dialect.words(f"… and {content.more} more") + dialect.newline if content.more else ""
    page = " " + dialect.link(content.page, "open in aggregator") if content.page else ""
    return f"{rest}{dialect.words(f'[{content.short_id}]')}{page}"


def _runs(runs: TextRuns, dialect: ChatMarkup) -> str:
    """Join runs with their marks.

    If a mark is invisible, words are made literal as a whole: what two runs have between them may mean
    something too.
    """
    if dialect.bold("x") == "x":
        return dialect.words(plain(runs))
    return "".join(_run(run, dialect) for run in runs)


def _run(run: TextRun, dialect: ChatMarkup) -> str:
    return dialect.bold(dialect.words(run.text)) if run.marked else dialect.words(run.text)


__all__ = [
    "DISCORD",
    "GOOGLE_CHAT",
    "MARKDOWN",
    "MATRIX",
    "PLAIN",
    "SLACK",
    "TELEGRAM",
    "ChatMarkup",
    "bare_url",
    "neutral",
    "render",
    "utf8",
    "utf16",
    "visible_utf16",
]
