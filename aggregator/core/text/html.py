"""From HTML to the text that a person would see.

One pass over the tags, without building a tree: linear in time on whatever is sent, however deep
or broken. Tags end as a browser ends them (HTML Living Standard, 13.2.5): a tag or comment that is
never closed swallows the rest, which is also what remains of a summary cut off inside a tag.
"""

import re
from html import unescape

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
_ODD = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_LINE_ENDS = re.compile(r"\r\n?|[\u2028\x85\v\f]")
_UNWANTED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]+")
_INNER_SPACE = re.compile(r" {2,}")
_LINE_EDGES = re.compile(r" ?\n ?")
_EMPTY_LINES = re.compile(r"\n{3,}")


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
    return plain_text("".join(pieces))


def plain_text(text: str) -> str:
    """`text` as it is stored: no control characters, surrogates or runs of white space."""
    if _ODD.search(text):
        text = _LINE_ENDS.sub("\n", text).replace("\u2029", "\n\n")
        text = _UNWANTED.sub("", text).replace("\t", " ")
    if "  " in text:
        text = _INNER_SPACE.sub(" ", text)
    if " \n" in text or "\n " in text:
        text = _LINE_EDGES.sub("\n", text)
    if "\n\n\n" in text:
        text = _EMPTY_LINES.sub("\n\n", text)
    return text.strip(" \n")


def _append(pieces: list[str], raw: str, keep_lines: bool) -> None:
    """Add text between two tags; `plain_text` will make one space of several."""
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
