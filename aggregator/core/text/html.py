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
_UNSEEN = "audio canvas head iframe noembed noframes script style template title video"
PARAGRAPHS, UNSEEN = frozenset(_PARAGRAPHS.split()), frozenset(_UNSEEN.split())

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
    at = preformatted = 0
    first = found = _MARKUP.search(html)
    while found:
        _append(pieces, html[at : found.start()], preformatted > 0)
        at = found.end()
        name = (found["name"] or "").lower()
        if name in UNSEEN and not found["close"]:
            at = _after_element(html, at, name)
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


def _after_element(html: str, at: int, name: str) -> int:
    """Where the text goes on after an element that is not shown, nested ones of its kind included."""
    tag = re.compile(rf"<(/?){name}(?=[\s/>])", re.IGNORECASE)
    nests = name in ("template", "video", "audio", "canvas")
    depth = 1
    while depth:
        found = tag.search(html, at)
        if not found:
            return len(html)
        at = found.end()
        if found[1]:
            depth -= 1
        elif nests:
            depth += 1
    end = html.find(">", at)
    return len(html) if end < 0 else end + 1
