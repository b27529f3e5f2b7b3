"""Marks in a text: text and spans in, runs out; page, terminal and alert each render runs in their own way."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aggregator.core.model import Span

WORDS_COMPARED = 220


@dataclass(frozen=True, slots=True)
class Run:
    """A run of text; `mark` is "" (plain), "hit", "new" or "gone"."""

    text: str
    mark: str = ""


def split(text: str, ranges: Iterable[tuple[int, int]]) -> tuple[Run, ...]:
    """Split `text` at the ranges; what overlaps or touches becomes one mark, what lies outside is cut off."""
    joined: list[tuple[int, int]] = []
    for raw_start, raw_end in sorted(ranges):
        start, end = max(raw_start, 0), min(raw_end, len(text))
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        elif start < end:
            joined.append((start, end))
    out: list[Run] = []
    at = 0
    for start, end in joined:
        out += [Run(text[at:start]), Run(text[start:end], "hit")]
        at = end
    return tuple(run for run in (*out, Run(text[at:])) if run.text)


def field_runs(text: str, spans: Sequence[Span], field: str) -> tuple[Run, ...]:
    """Return a whole field with the spans that lie in it; a span that no longer fits its text is left out."""
    return split(text, [(s.start, s.end) for s in spans if s.field == field and text[s.start : s.end] == s.text])


def snippet_runs(snippet: str, spans: Sequence[Span]) -> tuple[Run, ...]:
    """Return the runs of a snippet, which is cut out of its field: the matched spellings are looked up again."""
    spellings = sorted({s.text for s in spans if s.text}, key=len, reverse=True)
    if not spellings:
        return (Run(snippet),) if snippet else ()
    either = "|".join(re.escape(spelling) for spelling in spellings)
    return split(snippet, [found.span() for found in re.finditer(rf"(?<!\w)(?:{either})", snippet)])


def differences(old: str, new: str) -> tuple[Run, ...]:
    """Return `new` with its additions to `old` marked "new", and its omissions "gone"; by words, bounded."""
    before = re.findall(r"\S+\s*", old)[:WORDS_COMPARED]
    after = re.findall(r"\S+\s*", new)[:WORDS_COMPARED]
    keys = [[word.strip().casefold() for word in words] for words in (before, after)]
    out: list[Run] = []
    for verb, a, b, c, d in difflib.SequenceMatcher(a=keys[0], b=keys[1], autojunk=False).get_opcodes():
        if verb in ("delete", "replace"):
            out += _changed(before[a:b], "gone")
        if verb in ("insert", "replace"):
            out += _changed(after[c:d], "new")
        if verb == "equal":
            out.append(Run("".join(after[c:d]).rstrip() + " "))
    return tuple(out)


def _changed(words: Sequence[str], mark: str) -> tuple[Run, Run]:
    """Return a changed run, and the blank behind it, which is not part of the change."""
    return Run("".join(words).rstrip(), mark), Run(" ")


def spellings_by_field(spans: Sequence[Span]) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """(spelling, term, fields in which it stands), each spelling of a term once, in the order of the spans."""
    fields: dict[tuple[str, str], dict[str, None]] = {}
    for span in spans:
        fields.setdefault((span.text, span.term), {})[span.field] = None
    return tuple((text, term, tuple(where)) for (text, term), where in fields.items())


def similarity_percent(old: str, new: str) -> int:
    """Return how much of two texts is the same, in per cent of their words."""
    words = [text.casefold().split()[:WORDS_COMPARED] for text in (old, new)]
    return round(100 * difflib.SequenceMatcher(a=words[0], b=words[1], autojunk=False).ratio())
