"""Conversion of HTML to the text that a person would see.

One pass over the tags, without building a tree: linear in time on any input, however deep or broken.
Tags end as a browser ends them (HTML Living Standard, 13.2.5): a tag that is never closed swallows the
rest, which is also what remains of a summary cut off inside of it. But a comment or a quoted value that is
never closed ends with the next `>`: a browser would hide all that follows.
"""

import re
from collections.abc import Iterator
from html import unescape

from aggregator.core.text.sanitize import clean_lines

_PARAGRAPHS = """
address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure footer
form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu nav ol optgroup option p pre section summary table
tbody td tfoot th thead tr ul
"""
_HIDDEN = "annotation audio canvas datalist iframe noembed noframes script style template title video"
_VOID = "area base br col embed hr img input link meta param source track wbr"
_RUBY_TEXT = ("rt", "rp", "rtc")  # how the characters before are read: shown small, beside the text
_SMALL = frozenset(["a", "sup", "ruby", "rb", *_RUBY_TEXT])
_CAREFUL = frozenset(["pre", *_HIDDEN.split(), *_SMALL]) - {"a"}  # a text without these is read by `_simply`
_MAX_HIDDEN_NAMES = 50  # kinds of elements whose ends are looked for: documents with more are made to be slow
PARAGRAPHS, HIDDEN, VOID = (frozenset(names.split()) for names in (_PARAGRAPHS, _HIDDEN, _VOID))

_MARKUP = re.compile(
    r"""(<!--(?:-?>|.*?(?:--!?>|\Z))                              # comment
      | <(?P<close>/?)(?P<name>[A-Za-z][^\s/>]*+)                 # tag
        (?:[^>=]++|=\s*+(?:"(?:[^"]*+"|[^>]*+)|'(?:[^']*+'|[^>]*+))?+)*+(?:>|\Z)
      | <(?:[!?]|/(?=[^\s]))[^>]*+(?:>|\Z))                       # declaration, instruction, nonsense
    """,
    re.VERBOSE | re.DOTALL,
)
_HIDES = re.compile("hidden|display|visibility", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""[\s/]([^\s=>/"']++)(?:\s*+=\s*+("[^"]*"|'[^']*'|[^\s>]+))?""")
_NOT_SHOWN = re.compile(r"(?:^|[;\s])(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse))")
_PARAGRAPH_END = re.compile(rf"</p(?=[\s/>])[^>]*+>|(?=<(?:{'|'.join(sorted(PARAGRAPHS))})[\s/>])", re.IGNORECASE)
_NUMBERS = re.compile(r"\s*\d+(?:[\s,;\u2013-]+\d+)*\s*,?\s*", re.ASCII)
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_ENDLESS_NUMBER = re.compile(r"&#[0-9]{100,};?")  # int() refuses thousands of digits


def visible_text(html: str) -> str:
    """Return the visible text of `html`, entities decoded once.

    `<br>` is a line break, a paragraph-like element ends with an empty line, an inline element
    leaves nothing; scripts, styles, comments, attributes, fallback content, hidden elements and the
    reading aids of ruby are dropped. Numbers in `<sup>`, and those that a link into the page glues to
    a number, are raised (`400¹`): they are footnotes or powers, not its next digits. Text without a
    single tag keeps its own line breaks.
    """
    pieces: list[str] = []
    if "<" not in html:
        _append(pieces, html, keep_lines=True)
        return clean_lines("".join(pieces))
    if "<!--" in html:
        html = _with_ends(html)
    hides = _hiding_places(html)
    hiding_at = next(hides, len(html))  # the next place that may hide an element
    if hiding_at == len(html) and (simple := _simply(html)) is not None:
        return clean_lines(simple)
    hidden = _Hidden(html)
    at = preformatted = 0
    small = _Small(html)
    first = found = _MARKUP.search(html)
    while found:
        raw = html[at : found.start()]
        _append(pieces, raw if small.is_plain else small.read(raw, pieces), preformatted > 0)
        at = found.end()
        name = (found["name"] or "").lower()
        if name in _SMALL or not small.is_plain:
            small.enter(name, found)
        is_hidden = name in HIDDEN
        if hiding_at < at:
            is_hidden = is_hidden or _is_hidden(name, found[0])
            hiding_at = next((place for place in hides if place >= at), len(html))
        if is_hidden and not found["close"]:
            at = hidden.after(at, name, found[0].endswith("/>"))
            if name == "p":  # even a hidden one closes the one before
                pieces.append("\n\n")
        elif name == "br":
            pieces.append("\n")
        elif name in PARAGRAPHS:
            if not pieces or pieces[-1] != "\n\n":
                pieces.append("\n\n")
            if name == "pre":
                preformatted = max(0, preformatted + (-1 if found["close"] else 1))
        found = _MARKUP.search(html, at)
    _append(pieces, small.read(html[at:], pieces), first is None or preformatted > 0)
    return clean_lines("".join(pieces))


def _with_ends(html: str) -> str:
    """Turn comments that are never closed into declarations, which the next `>` ends."""
    last = max(html.rfind("-->"), html.rfind("--!>"))
    end = last + 3 if last >= 0 else 0
    return html[:end] + html[end:].replace("<!--", "<!")


def _simply(html: str) -> str | None:
    """Return the text of markup that only breaks lines and paragraphs, as most does; None if there is more to it.

    The text is split at all tags by one operation, at half the cost of looking for each of them.
    """
    parts = _MARKUP.split(html.replace("\n", " ").replace("\t", " ").replace("\r", " ").replace("\f", " "))
    tags, names = parts[1::4], parts[3::4]
    breaks = {name: _break(name) for name in {*names}}
    if not tags or not _CAREFUL.isdisjoint([name.lower() for name in breaks if name]):
        return None
    if "#" in html and any("#" in tag and name in ("a", "A") for tag, name in zip(tags, names, strict=True)):
        return None
    pieces: list[str] = []
    before = ""
    for raw, name in zip(parts[::4], (*names, None), strict=True):
        if before == "\n\n":
            raw = raw.lstrip(" ")
        if raw:
            before = _decoded(raw)
            pieces.append(before)
        if (after := breaks.get(name)) and not after == before == "\n\n":
            pieces.append(after)
            before = after
    return "".join(pieces)


def _break(name: str | None) -> str:
    """Return what stands for a tag in a text."""
    lower = (name or "").lower()
    return "\n" if lower == "br" else "\n\n" if lower in PARAGRAPHS else ""


def _is_hidden(name: str, tag: str) -> bool:
    """Tell whether a start tag says by itself that its element is not shown."""
    if len(tag) < len(name) + 9 or name in VOID or not name:
        return False
    lower = tag.lower()
    if "hidden" not in lower and "none" not in lower and "collapse" not in lower:
        return False
    attributes = {key: value.strip("\"'") for key, value in _ATTRIBUTE.findall(lower, len(name) + 1)}
    return "hidden" in attributes or bool(_NOT_SHOWN.search(unescape(attributes.get("style", ""))))


class _Small:
    """Small text beside the text proper: footnotes and powers, and readings of characters (ruby)."""

    def __init__(self, html: str) -> None:
        self._html = html
        self._raised = 0
        self._linked = False  # inside a link to a place of a page
        self._last_ruby: int | None = None
        self._silent = False  # nothing is to be read until the next tag that says otherwise
        self.is_plain = True

    def enter(self, name: str, tag: re.Match[str]) -> None:
        """Record a tag."""
        opens = not tag["close"]
        if name == "sup":
            self._raised = max(0, self._raised + (1 if opens else -1))
        elif name == "a":
            self._linked = opens and "#" in tag[0]
        elif name in _RUBY_TEXT:
            self._silent = opens and tag.end() <= self._end_of_ruby()
        elif name in ("ruby", "rb"):
            self._silent = False
        elif name in PARAGRAPHS:
            self._silent, self._raised = False, 0
        self.is_plain = not (self._silent or self._raised or self._linked)

    def read(self, raw: str, pieces: list[str]) -> str:
        """Return text between two tags: nothing of a reading aid, raised digits if it is written so."""
        if self._silent:
            return ""
        if self.is_plain or not _NUMBERS.fullmatch(raw):
            return raw
        glued = bool(pieces) and pieces[-1][-1:].isdigit()
        return raw.translate(_RAISED) if self._raised or glued else raw

    def _end_of_ruby(self) -> int:
        """Return where the last ruby of the document ends; text outside is no reading aid."""
        if self._last_ruby is None:
            self._last_ruby = self._html.lower().rfind("</ruby")
        return self._last_ruby


def _hiding_places(html: str) -> Iterator[int]:
    """Return the places of words by which a tag may hide its element."""
    lower = html.encode("utf-8", "surrogatepass").lower()  # to look for words in it is quicker than to match them
    if b"hidden" in lower or b"display" in lower or b"visibility" in lower:
        yield from (found.start() for found in _HIDES.finditer(html))


def _append(pieces: list[str], raw: str, keep_lines: bool) -> None:
    """Add text between two tags; `clean_lines` makes one space of several."""
    if not keep_lines:
        raw = raw.replace("\n", " ").replace("\t", " ").replace("\r", " ").replace("\f", " ")
        if pieces and pieces[-1] == "\n\n":
            raw = raw.lstrip(" ")
    if raw:
        pieces.append(_decoded(raw))


def _decoded(raw: str) -> str:
    return unescape(_ENDLESS_NUMBER.sub("\ufffd", raw)) if "&" in raw else raw


class _Hidden:
    """The end of hidden elements, and so where the visible text of a document goes on.

    Publishers write XML where browsers read HTML: `<iframe/>` is empty, and an element that is never closed
    must not hide text. Code is the exception, unless another element of its kind comes next. Results
    per kind of element are remembered, so that the time stays linear.
    """

    def __init__(self, html: str) -> None:
        self._html = html
        self._flat: set[str] = set()  # an element of these has no end, if those inside of it are counted
        self._endless: set[str] = set()  # no element of these is closed any more
        self._names: set[str] = set()

    def after(self, start: int, name: str, closes_itself: bool) -> int:
        """Return the place after the element whose start tag ends at `start`, nested ones of its kind included."""
        if name == "p":
            closed_at = _PARAGRAPH_END.search(self._html, start)
            return closed_at.end() if closed_at else start
        self._names.add(name)
        is_code = name in ("script", "style")
        if len(self._names) > _MAX_HIDDEN_NAMES and name not in HIDDEN:
            return start
        if closes_itself and not is_code:
            return start
        tag = re.compile(rf"<(/?){re.escape(name)}(?=[\s/>])", re.IGNORECASE)
        if closes_itself and not ((following := tag.search(self._html, start)) and following[1]):
            return start
        end = self._end(tag, start, name)
        if end is None:
            return len(self._html) if is_code else start
        closed = self._html.find(">", end)
        return len(self._html) if closed < 0 else closed + 1

    def _end(self, tag: re.Pattern[str], start: int, name: str) -> int | None:
        """Return where the end tag of an element starts."""
        if name in self._endless:
            return None
        nests = (name not in HIDDEN or name in ("template", "video", "audio", "canvas")) and name not in self._flat
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
