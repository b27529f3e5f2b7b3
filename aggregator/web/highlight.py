"""Where to mark a text. Pure: text and spans in, pieces out; the template escapes each piece."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aggregator.core.model import Span

WORDS_COMPARED = 220


@dataclass(frozen=True, slots=True)
class HighlightedText:
    """A run of text; `mark` is "" (plain), "hit", "new" or "gone"."""

    text: str
    mark: str = ""


def _pieces(text: str, ranges: Iterable[tuple[int, int]]) -> tuple[HighlightedText, ...]:
    """Split `text` at the ranges; what overlaps is joined, what lies outside is cut off."""
    out: list[HighlightedText] = []
    at = 0
    for raw_start, raw_end in sorted(ranges):
        start, end = max(raw_start, at), min(raw_end, len(text))
        if start >= end:
            continue
        if start > at:
            out.append(HighlightedText(text[at:start]))
        out.append(HighlightedText(text[start:end], "hit"))
        at = end
    if at < len(text):
        out.append(HighlightedText(text[at:]))
    return tuple(out)


def highlighted(text: str, spans: Sequence[Span], field: str) -> tuple[HighlightedText, ...]:
    """A whole field with the spans that lie in it; a span that no longer fits its text is left out."""
    return _pieces(text, [(s.start, s.end) for s in spans if s.field == field and text[s.start : s.end] == s.text])


def highlighted_snippet(snippet: str, spans: Sequence[Span]) -> tuple[HighlightedText, ...]:
    """A snippet, which is cut out of its field: the matched spellings are looked up again."""
    spellings = sorted({s.text for s in spans if s.text}, key=len, reverse=True)
    if not spellings:
        return (HighlightedText(snippet),) if snippet else ()
    either = "|".join(re.escape(spelling) for spelling in spellings)
    return _pieces(snippet, [found.span() for found in re.finditer(rf"(?<!\w)(?:{either})", snippet)])


def differences(old: str, new: str) -> tuple[HighlightedText, ...]:
    """`new` with what it adds to `old` marked "new", and what it leaves out "gone"; by words, bounded."""
    before = re.findall(r"\S+\s*", old)[:WORDS_COMPARED]
    after = re.findall(r"\S+\s*", new)[:WORDS_COMPARED]
    keys = [[word.strip().casefold() for word in words] for words in (before, after)]
    out: list[HighlightedText] = []
    for verb, a, b, c, d in difflib.SequenceMatcher(a=keys[0], b=keys[1], autojunk=False).get_opcodes():
        if verb in ("delete", "replace"):
            out += _changed(before[a:b], "gone")
        if verb in ("insert", "replace"):
            out += _changed(after[c:d], "new")
        if verb == "equal":
            out.append(HighlightedText("".join(after[c:d]).rstrip() + " "))
    return tuple(out)


def _changed(words: Sequence[str], mark: str) -> tuple[HighlightedText, HighlightedText]:
    """A changed run, and the blank behind it, which is not part of the change."""
    return HighlightedText("".join(words).rstrip(), mark), HighlightedText(" ")


def spellings_by_field(spans: Sequence[Span]) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """(spelling, term, fields in which it stands), each spelling of a term once, in the order of the spans."""
    fields: dict[tuple[str, str], dict[str, None]] = {}
    for span in spans:
        fields.setdefault((span.text, span.term), {})[span.field] = None
    return tuple((text, term, tuple(where)) for (text, term), where in fields.items())


def similarity_percent(old: str, new: str) -> int:
    """How much of two texts is the same, in per cent of their words."""
    words = [text.casefold().split()[:WORDS_COMPARED] for text in (old, new)]
    return round(100 * difflib.SequenceMatcher(a=words[0], b=words[1], autojunk=False).ratio())
