"""Sanitising of untrusted text for display: one line, no tricks, marked where a term was found."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from aggregator.core.highlight import split
from aggregator.core.model import Span

# Bidirectional overrides and isolates can make a link or a name read backwards; zero-width signs
# can hide in it; tags and fillers render as nothing. ZWJ and ZWNJ stay: emoji and Persian need them.
_TRICKS = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_STACKED = re.compile(r"([\u0300-\u036f\u0483-\u0489\u20d0-\u20ff]{4})[\u0300-\u036f\u0483-\u0489\u20d0-\u20ff]+")
_SPACE = re.compile(r"\s+")
ELLIPSIS = "…"
_URL_SAFE = "/:?#@!$&*+,;=%~"
_HOST = re.compile(r"[\w.\-:%]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class TextRun:
    """A stretch of text; `marked` if a term was found there."""

    text: str
    marked: bool = False


TextRuns = tuple[TextRun, ...]


def clean(text: str) -> str:
    """Return text on one line without control, hidden or direction-changing signs."""
    text = _CONTROL.sub(" ", _TRICKS.sub("", text))
    return _SPACE.sub(" ", _STACKED.sub(r"\1", text)).strip()


def cut(text: str, length: int) -> str:
    """Cut text to `length` code points, between words if possible, with an ellipsis."""
    if len(text) <= length:
        return text
    if length <= 1:
        return ELLIPSIS[:length]
    end = length - 1
    space = text.rfind(" ", end * 2 // 3, end + 1)
    end = space if space > 0 else end
    while end > 0 and (unicodedata.combining(text[end]) or text[end - 1] == "\u200d" or text[end] == "\u200d"):
        end -= 1
    return text[:end].rstrip(" ,;:–—-") + ELLIPSIS


def plain(runs: Iterable[TextRun]) -> str:
    """Join runs without their marks."""
    return "".join(run.text for run in runs)


def mark_spans(text: str, offset: int, spans: Sequence[Span]) -> TextRuns:
    """Split a slice of a field, from code point `offset` on, into runs marked by spans of that field."""
    runs = split(text, [(span.start - offset, span.end - offset) for span in spans])
    return tidy(TextRun(run.text, marked=bool(run.mark)) for run in runs)


def tidy(runs: Iterable[TextRun]) -> TextRuns:
    """Clean runs on one line; spaces between them are kept, empty ones are dropped."""
    tidied: list[TextRun] = []
    for run in runs:
        inner = clean(run.text)
        before = " " if run.text[:1].isspace() and tidied and not tidied[-1].text.endswith(" ") else ""
        after = " " if inner and run.text[-1:].isspace() else ""
        if text := before + inner + after:
            tidied.append(TextRun(text, run.marked))
    if tidied and tidied[-1].text.endswith(" "):
        tidied[-1] = TextRun(tidied[-1].text.rstrip(), tidied[-1].marked)
    return tuple(tidied)


def shorten(runs: TextRuns, length: int) -> TextRuns:
    """Shorten runs to at most `length` code points; the marked words are kept in sight."""
    if len(plain(runs)) <= length:
        return runs
    first = next((i for i, run in enumerate(runs) if run.marked), 0)
    before = plain(runs[:first])
    fixture = max(length // 3, length - len(plain(runs[first:])) - 1)
    head = before if len(before) <= fixture else ELLIPSIS + before[len(before) - fixture + 1 :].partition(" ")[2]
    shortened, left = ([TextRun(head)] if head else []), length - len(head)
    for run in runs[first:]:
        if left <= 0:
            break
        piece = cut(run.text, left)
        shortened.append(TextRun(piece, run.marked))
        left -= len(piece)
        if piece != run.text:
            break
    return tuple(shortened)


def web_address(url: str | None) -> str | None:
    """Return a http(s) address that is safe between any brackets, or None: other schemes are never linked.

    User names are dropped: one before an @ in an address is there to deceive
    (https://bank.example@evil.example).
    """
    url = _TRICKS.sub("", _CONTROL.sub("", url or "")).strip()
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return None
        host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
        port = f":{parts.port}" if parts.port else ""
    except (ValueError, UnicodeError):
        return None
    if not _HOST.fullmatch(host):
        return None
    tail = parts.path + (f"?{parts.query}" if parts.query else "") + (f"#{parts.fragment}" if parts.fragment else "")
    place = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{place}{port}{quote(tail, safe=_URL_SAFE)}"


def host_of(url: str) -> str:
    """Return the host that a link really leads to; in punycode if it is not ASCII."""
    return (urlsplit(url).hostname or "").removeprefix("www.")
