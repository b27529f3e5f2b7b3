"""The sentence that shows why a rule matched."""

import re
from collections.abc import Sequence

from aggregator.core.model import Span
from aggregator.core.rules.entry_document import Document

MAX_SNIPPET = 280  # code points

_SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’»)\]]*+(?=\s)|[。！？]+[」』”]?|[।؟۔](?=\s|$)|\n+")


def snippet(document: Document, spans: Sequence[Span]) -> str:
    """Return the sentence with the most of the found terms, body before title; "" without spans.

    A long sentence is cut around its first span, at blanks, with an ellipsis where it was cut.
    """
    best: tuple[int, int, int, int] | None = None
    chosen = ""
    for place, span in enumerate(spans):
        text = document.field(span.field)
        start, end = _sentence(text, span)
        inside = {s.term for s in spans if s.field == span.field and start <= s.start < end}
        rank = (len(inside), span.field in ("summary", "content"), end - start >= 40, -place)
        if best is None or rank > best:
            best, chosen = rank, _cut(text, start, end, span)
    return chosen


def _sentence(text: str, span: Span) -> tuple[int, int]:
    window = max(0, span.start - 2 * MAX_SNIPPET)
    start = window
    for found in _SENTENCE_END.finditer(text, window, span.start):
        start = found.end()
    after = _SENTENCE_END.search(text, span.end, span.end + 2 * MAX_SNIPPET)
    return start, after.end() if after else min(len(text), span.end + 2 * MAX_SNIPPET)


def _cut(text: str, start: int, end: int, span: Span) -> str:
    if end - start <= MAX_SNIPPET:
        return " ".join(text[start:end].split())
    left = max(start, span.start - MAX_SNIPPET // 3)
    right = min(end, left + MAX_SNIPPET)
    if left > start:
        left = text.find(" ", left, span.start) + 1 or left
    if right < end:
        blank = text.rfind(" ", span.end, right)
        right = blank if blank > 0 else right
    middle = " ".join(text[left:right].split())
    return f"{'…' if left > start else ''}{middle}{'…' if right < end else ''}"
