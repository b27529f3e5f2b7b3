"""From HTML to the text that a person would see.

One pass over the tags, without building a tree: linear in time on whatever is sent, however deep
or broken. Tags end as a browser ends them (HTML Living Standard, 13.2.5): a tag or comment that is
never closed swallows the rest, which is also what remains of a summary cut off inside a tag.
"""

import re
from html import unescape

from aggregator.core.text.sanitize import clean_lines

_PARAGRAPHS = """
address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure footer
form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu nav ol optgroup option p pre section summary table
tbody td tfoot th thead tr ul
"""
_HIDDEN = "audio canvas iframe noembed noframes script style template title video"
PARAGRAPHS, HIDDEN = frozenset(_PARAGRAPHS.split()), frozenset(_HIDDEN.split())

_MARKUP = re.compile(
    r"""<!--(?:-?>|.*?(?:--!?>|\Z))                               # comment
      | <(?P<close>/?)(?P<name>[A-Za-z][^\s/>]*+)                 # tag
        (?:[^>=]++|=\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z))?+)*+(?:>|\Z)
      | <(?:[!?]|/(?=[^\s]))[^>]*+(?:>|\Z)                        # declaration, instruction, nonsense
    """,
    re.VERBOSE | re.DOTALL,
)
_ENDLESS_NUMBER = re.compile(r"&#[0-9]{100,};?")  # int() refuses thousands of digits


def visible_text(html: str) -> str:
    """The visible text of `html`, entities decoded once.

    `<br>` is a line break, a paragraph-like element ends with an empty line, an inline element
    leaves nothing; scripts, styles, comments, attributes and fallback content are dropped. Text
    without a single tag keeps its own line breaks.
    """
    pieces: list[str] = []
    hidden: _Hidden | None = None
    at = preformatted = 0
    first = found = _MARKUP.search(html)
    while found:
        _append(pieces, html[at : found.start()], preformatted > 0)
        at = found.end()
        name = (found["name"] or "").lower()
        if name in HIDDEN and not found["close"]:
            hidden = hidden or _Hidden(html)
            at = hidden.after(at, name, found[0].endswith("/>"))
        elif name == "br":
            pieces.append("\n")
        elif name in PARAGRAPHS:
            if not pieces or pieces[-1] != "\n\n":
                pieces.append("\n\n")
            if name == "pre":
                preformatted = max(0, preformatted + (-1 if found["close"] else 1))
        found = _MARKUP.search(html, at)
    _append(pieces, html[at:], first is None or preformatted > 0)
    return clean_lines("".join(pieces))


def _append(pieces: list[str], raw: str, keep_lines: bool) -> None:
    """Add text between two tags; `clean_lines` makes one space of several."""
    if not keep_lines:
        raw = raw.replace("\n", " ").replace("\t", " ").replace("\r", " ").replace("\f", " ")
        if pieces and pieces[-1] == "\n\n":
            raw = raw.lstrip(" ")
    if raw:
        pieces.append(unescape(_ENDLESS_NUMBER.sub("\ufffd", raw)) if "&" in raw else raw)


class _Hidden:
    """Where the text of one document goes on after elements that are not shown.

    Publishers write XML where browsers read HTML: `<iframe/>` holds nothing, and what is never closed holds
    nothing that may be lost. Code is the exception, unless another element of its kind comes next. What was
    found out about a kind of element is remembered, so that the time stays linear.
    """

    def __init__(self, html: str) -> None:
        self._html = html
        self._flat: set[str] = set()  # an element of these has no end, if those inside of it are counted
        self._endless: set[str] = set()  # no element of these is closed any more

    def after(self, start: int, name: str, closes_itself: bool) -> int:
        """The place after the element whose start tag ends at `start`, nested ones of its kind included."""
        is_code = name in ("script", "style")
        if closes_itself and not is_code:
            return start
        tag = re.compile(rf"<(/?){name}(?=[\s/>])", re.IGNORECASE)
        if closes_itself and not ((following := tag.search(self._html, start)) and following[1]):
            return start
        end = self._end(tag, start, name)
        if end is None:
            return len(self._html) if is_code else start
        closed = self._html.find(">", end)
        return len(self._html) if closed < 0 else closed + 1

    def _end(self, tag: re.Pattern[str], start: int, name: str) -> int | None:
        """Where the end tag of an element begins to end."""
        if name in self._endless:
            return None
        nests = name in ("template", "video", "audio", "canvas") and name not in self._flat
        at, depth = start, 1
        while found := tag.search(self._html, at):
            at = found.end()
            depth += -1 if found[1] else nests
            if not depth:
                return at
        if not nests:
            self._endless.add(name)
            return None
        self._flat.add(name)
        return self._end(tag, start, name)
